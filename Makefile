# Every target is one command that a person could type. make test | make demo DATA=path/to/dune_cvn
PYTHON ?= python3
BIN := .venv/bin
TORCH := torch==2.13.0
DATASET := datasets/dune_cvn
TRAIN := $(BIN)/deepspeed --num_accelerators 2 launch/train.py
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: install test fast demo demo-data demo-cnn demo-nano demo-lora demo-table control lint clean

install: $(BIN)/.installed

# torch first: another package's wish for it would bring the newest, with several GB of CUDA libraries.
$(BIN)/.installed: setup.py constraints.txt
	$(PYTHON) -m venv .venv && $(BIN)/pip install -q $(TORCH) && $(BIN)/pip install -q -c constraints.txt -e '.[dev]' && touch $@

test: install
	$(BIN)/python -m pytest

fast: install
	$(BIN)/python -m pytest -m "not slow"

# DATA: the folder of DUNE CVN pixel maps that holds labels.csv, dataset1000/ and highstats/
demo: demo-data demo-cnn demo-nano demo-lora demo-table

demo-data: install
	@test -n "$(DATA)" || { echo "error: make demo needs DATA=path/to/dune_cvn: the pixel maps of github.com/DUNE/dune-cvn (labels.csv, dataset1000/, highstats/)"; exit 2; }
	test -f $(DATASET)/manifest.json || $(BIN)/nuvlm pack $(DATA)/dataset1000 --test $(DATA)/highstats --classes nue_cc,numu_cc,nc --out $(DATASET)

demo-cnn: demo-data
	$(TRAIN) configs/cnn-dune.yaml

demo-nano: demo-cnn
	$(TRAIN) configs/nano-dune.yaml

demo-lora: demo-nano
	$(TRAIN) configs/nano-lora-dune.yaml

demo-table: demo-lora
	$(BIN)/python launch/evaluate.py runs/cnn-dune runs/nano-dune runs/nano-lora-dune --data $(DATASET) --split test

# The same model, trained with every event shown the picture of another: what it scores without looking
control: demo-data
	$(TRAIN) configs/nano-shuffled-dune.yaml

lint: install
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

clean:
	rm -rf .venv build *.egg-info
