# Every target is one command that a person could type. make test | make demo | make demo DATA=path/to/dune_cvn
PYTHON ?= python3
BIN := .venv/bin
TORCH := torch==2.13.0
# The demo's events: simulated ones, or with DATA the published DUNE maps
EVENTS := $(if $(DATA),dune,simulated)
DATASET := datasets/$(if $(DATA),dune_cvn,simulated-demo)
ON_DATASET := data.dataset=$(DATASET)
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
	test -f $(DATASET)/manifest.json || $(if $(DATA),$(PACK),$(SIMULATE))

PACK := $(BIN)/nuvlm pack $(DATA)/dataset1000 --test $(DATA)/highstats --classes nue_cc,numu_cc,nc --out $(DATASET)
SIMULATE := $(BIN)/nuvlm simulate configs/simulate-demo.yaml --out $(DATASET)

demo-cnn: demo-data
	$(TRAIN) configs/cnn-dune.yaml folder=runs/cnn-$(EVENTS) $(ON_DATASET)

demo-nano: demo-cnn
	$(TRAIN) configs/nano-dune.yaml folder=runs/nano-$(EVENTS) $(ON_DATASET)

demo-lora: demo-nano
	$(TRAIN) configs/nano-lora-dune.yaml folder=runs/nano-lora-$(EVENTS) model.base=runs/nano-$(EVENTS)/model $(ON_DATASET)

demo-table: demo-lora
	$(BIN)/python launch/evaluate.py runs/cnn-$(EVENTS) runs/nano-$(EVENTS) runs/nano-lora-$(EVENTS) --data $(DATASET) --split test

# The same model, trained with every event shown the picture of another: what it scores without looking
control: demo-data
	$(TRAIN) configs/nano-shuffled-dune.yaml

lint: install
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

clean:
	rm -rf .venv build *.egg-info
