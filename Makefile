# Every line is one command that a person could type. make test | make demo | make demo DATA=path/to/dune_cvn | make science DATA=...
PYTHON ?= python3
BIN := .venv/bin
TORCH := torch==2.13.0
# The demo's events: simulated ones, or with DATA the published DUNE maps
EVENTS := $(if $(DATA),dune,simulated)
DATASET := datasets/$(if $(DATA),dune_cvn,simulated-demo)
ON_DATASET := data.dataset=$(DATASET)
TRAIN := $(BIN)/deepspeed --num_accelerators 2 launch/train.py
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: install test fast faults bench bench-data demo demo-data demo-cnn demo-nano demo-table pretraining-data ending-data teacher teacher-ending nano science science-modular science-told science-dune control lint clean

install: $(BIN)/.installed

# torch first: another package's wish for it would bring the newest, with several GB of CUDA libraries.
$(BIN)/.installed: setup.py constraints.txt
	$(PYTHON) -m venv .venv && $(BIN)/pip install -q $(TORCH) && $(BIN)/pip install -q -c constraints.txt -e '.[dev]' && touch $@

# Two files at a time, in order: the first is the real Slurm's, where much is waited for
TWO := -n 2 --dist loadfile --no-loadscope-reorder

test: install
	$(BIN)/python -m pytest $(TWO)

fast: install
	$(BIN)/python -m pytest $(TWO) -m "not slow"

# 100 kills at random moments of 20 trainings, and a table of what became of them
faults: install
	rm -rf build/faults
	$(BIN)/python -m tests.faults.soak build/faults

# What models cost, and how the toolkit compares with peers and limits; records in build/bench
bench: bench-data
	$(BIN)/python launch/peers.py --data datasets/simulated-bench --out build/bench/peers.json
	$(BIN)/python launch/benchmark.py configs/bench/families.yaml --out build/bench/families.json
	$(BIN)/python launch/benchmark.py configs/bench/scaling.yaml --out build/bench/scaling.json

bench-data: install
	test -f datasets/simulated-bench/manifest.json || $(BIN)/nuvlm simulate configs/simulate-paper.yaml --out datasets/simulated-bench events=2400
	$(TRAIN) configs/cnn-dune.yaml folder=runs/bench-cnn $(ON_BENCH) schedule.epochs=3
	$(TRAIN) configs/vit-dune.yaml folder=runs/bench-vit $(ON_BENCH) schedule.epochs=2

ON_BENCH := data.dataset=datasets/simulated-bench 'augment={symmetries: true, gain: 0.1, dropout: 0.05}' 'view={size: [128, 128], pool: 4, crop: centroid, full_scale: 25.5}'

# DATA: the folder of DUNE CVN pixel maps that holds labels.csv, dataset1000/ and highstats/
demo: demo-data demo-cnn demo-nano demo-table

demo-data: install
	test -f $(DATASET)/manifest.json || $(if $(DATA),$(PACK),$(SIMULATE))

PACK := $(BIN)/nuvlm pack $(DATA)/dataset1000 --test $(DATA)/highstats --classes nue_cc,numu_cc,nc --out $(DATASET)
SIMULATE := $(BIN)/nuvlm simulate configs/simulate-demo.yaml --out $(DATASET)

demo-cnn: demo-data
	$(TRAIN) configs/cnn-dune.yaml folder=runs/cnn-$(EVENTS) $(ON_DATASET)

demo-nano: demo-cnn
	$(TRAIN) configs/finetune-nano.yaml folder=runs/nano-$(EVENTS) $(ON_DATASET)

demo-table: demo-nano
	$(BIN)/python launch/evaluate.py runs/cnn-$(EVENTS) runs/nano-$(EVENTS) --data $(DATASET) --split test

# What nuvlm-nano and its teacher learn from
pretraining-data: install
	test -f datasets/pretrain-dune/manifest.json || $(BIN)/nuvlm simulate configs/simulate-pretrain-dune.yaml --out datasets/pretrain-dune
	test -f datasets/pretrain-modular/manifest.json || $(BIN)/nuvlm simulate configs/simulate-pretrain-modular.yaml --out datasets/pretrain-modular
	test -f datasets/bombs-dune/manifest.json || $(BIN)/nuvlm simulate configs/simulate-bombs-dune.yaml --out datasets/bombs-dune
	test -f datasets/pretrain-wide/manifest.json || $(BIN)/nuvlm simulate configs/simulate-pretrain-wide.yaml --out datasets/pretrain-wide

teacher: pretraining-data
	test -d runs/teacher-dune/model || $(TRAIN) configs/teacher-dune.yaml

# The same for the last part of its pretraining: events that the others did not see
ENDING := split={train: 0.9, val: 0.1}

ending-data: install
	test -f datasets/simulated-dune/manifest.json || $(BIN)/nuvlm simulate configs/simulate-dune.yaml --out datasets/simulated-dune
	test -f datasets/ending-dune/manifest.json || $(BIN)/nuvlm simulate configs/simulate-pretrain-dune.yaml --out datasets/ending-dune events=15000 seed=105 '$(ENDING)'
	test -f datasets/ending-wide/manifest.json || $(BIN)/nuvlm simulate configs/simulate-pretrain-wide.yaml --out datasets/ending-wide events=6000 seed=106 '$(ENDING)'
	test -f datasets/ending-modular/manifest.json || $(BIN)/nuvlm simulate configs/simulate-pretrain-modular.yaml --out datasets/ending-modular events=4500 seed=107 '$(ENDING)'

teacher-ending: ending-data
	test -d runs/teacher-ending/model || $(TRAIN) configs/teacher-ending.yaml

# The parts of nuvlm-nano's pretraining; the last begins with what the package finds, so weights are put there twice
nano: teacher teacher-ending
	$(TRAIN) configs/pretrain-tower.yaml
	$(TRAIN) configs/pretrain-nano.yaml
	$(BIN)/nuvlm release runs/pretrain-nano
	$(TRAIN) configs/pretrain-nano-ending.yaml
	$(BIN)/nuvlm release runs/pretrain-nano-ending

# The tables of docs/results.md: hours; stopped, the same command continues
science: science-modular science-told science-dune

# The comparison of arXiv:2508.19376, on its detector, and how the models' scores fall on worse events
MODULAR := datasets/simulated-modular
WORSE := recombination_birks lifetime_short diffusion_high
FAMILIES := cnn cvn vit tower nano

science-modular: install
	test -f $(MODULAR)/manifest.json || $(BIN)/nuvlm simulate configs/simulate-paper.yaml --out $(MODULAR) events=8000 'split={train: 0.75, val: 0.05, test: 0.2}'
	$(BIN)/python launch/study.py configs/studies/modular.yaml
	$(BIN)/python launch/evaluate.py $(FAMILIES:%=runs/studies/modular/%) --data $(MODULAR) --split test --markdown runs/studies/modular/scores.md
	for worse in $(WORSE); do test -f $(MODULAR)-$$worse/manifest.json || $(BIN)/nuvlm simulate configs/simulate-paper.yaml --out $(MODULAR)-$$worse events=1500 seed=79 response.variant=$$worse 'split={test: 1.0}' || exit; done
	$(BIN)/python launch/robustness.py $(FAMILIES:%=runs/studies/modular/%) --data $(MODULAR) --split test --also $(foreach worse,$(WORSE),$(worse)=$(MODULAR)-$(worse)) --out runs/robustness-modular

# What the shipped model says of events that it never saw
science-told: install
	test -f datasets/simulated-told/manifest.json || $(BIN)/nuvlm simulate configs/simulate-dune.yaml --out datasets/simulated-told events=4400 seed=78 'split={val: 0.5, test: 0.5}'
	$(BIN)/python launch/train.py configs/zero-shot-nano.yaml folder=runs/shipped-nano data.dataset=datasets/simulated-told data.train_split=val
	$(BIN)/torchrun --nproc-per-node 2 launch/explain.py runs/shipped-nano --data datasets/simulated-told --split test --thresholds-from datasets/simulated-told:val --precision 0.95 --out runs/explained-nano --markdown runs/explained-nano/tables.md

HELD_OUT := zero-shot-nano zero-shot-cnn cnn-1 cvn-1 vit-1 transferred-cnn-1 tower-1 nano-1

# Needs DATA; a CNN that learned from simulated events is what pretraining is worth without language
science-dune: install
	test -f datasets/simulated-dune/manifest.json || $(BIN)/nuvlm simulate configs/simulate-dune.yaml --out datasets/simulated-dune
	test -d runs/cnn-transfer/model || $(TRAIN) configs/cnn-transfer.yaml
	test -f datasets/dune_search/manifest.json || $(BIN)/nuvlm pack $(DATA)/dataset1000 --split train=0.6,val=0.1,dev=0.3 --classes nue_cc,numu_cc,nc --out datasets/dune_search
	$(BIN)/python launch/study.py configs/studies/search-dune.yaml
	$(BIN)/python launch/study.py configs/studies/label-efficiency-dune.yaml
	$(BIN)/python launch/study.py configs/studies/steps-dune.yaml
	test -f datasets/dune_cvn/manifest.json || $(PACK)
	$(BIN)/python launch/study.py configs/studies/dune.yaml
	$(BIN)/python launch/evaluate.py $(HELD_OUT:%=runs/studies/dune/%) --data datasets/dune_cvn --split test --coverage 0.9 --markdown runs/studies/dune/scores.md

# A tiny model of random weights, trained with every event shown the picture of another: what it scores without looking
control: demo-data
	$(TRAIN) configs/nano-shuffled-dune.yaml

lint: install
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

clean:
	rm -rf .venv build *.egg-info
