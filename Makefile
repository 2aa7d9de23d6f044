# `make help` lists the targets. ROS 2 comes from the sourced installation, or from Python wheels where none is sourced
# (ROS_WHEELS=kilted, the default, or jazzy). Each has its own environment: .venv/ENV, build/ENV, install/ENV.
SHELL := bash
ENV := $(shell tools/environment.sh)
$(if $(ENV),,$(error no environment))
VENV := .venv/$(ENV)
PREFIX := install/$(ENV)
ENTER := . tools/env.sh &&
ROS_PREFIXES := $(if $(filter ros-%,$(ENV)),$(AMENT_PREFIX_PATH))

# The released vision_msgs where ROS has it, else the one of underlay/
UNDERLAY := $(if $(wildcard $(addsuffix /share/vision_msgs,$(subst :, ,$(ROS_PREFIXES)))),,underlay/vision_msgs)
INTERFACES := $(wildcard msg/* srv/* action/* underlay/*/* underlay/*/msg/*)
FILES := $(sort $(shell find sam_ros include scripts launch config resource -type f -not -path '*/__pycache__/*'))

.PHONY: help build demo test lint format bench train clean
help:  ## this list
	@sed -nE 's/^([a-z]+):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

build: $(PREFIX)/.built  ## make the environment and build the package; what is up to date stays

demo: build  ## segment the sample pictures: source and node in two processes, tables here, PNGs in demo_out/
	@$(ENTER) python -m sam_ros.nodes.demo $(ARGS)

test: build  ## run the tests, e.g. make test ARGS='-k rle'
	@$(ENTER) python -m pytest $(ARGS)

lint: $(VENV)/.installed  ## ruff, mypy, codespell, XML
	@$(ENTER) ruff check && ruff format --check && mypy && codespell \
	  && python tools/check_xml.py && echo "lint: clean"

format: $(VENV)/.installed  ## let ruff format and mend what it can
	@$(ENTER) ruff check --fix && ruff format

bench: build  ## measure speed against named peers
	@$(ENTER) python -m benchmarks $(ARGS)

train: $(VENV)/.installed  ## compose scenes and train sam_tiny on them, e.g. make train ARGS='--minutes 150'
	@$(ENTER) python -m training.compose --set train && python -m training.compose --set val --scenes 300 \
	  && python -m training.train $(ARGS)

clean:  ## remove the environment and everything built
	rm -rf $(VENV) build/$(ENV) $(PREFIX) log/$(ENV)

$(VENV)/.installed: setup.cfg setup.py constraints.txt tools/setup.sh $(wildcard tools/wheels/*)
	@tools/setup.sh $(ENV) && touch $@

# The build links to the Python files, so it is needed again when one comes or goes, not when one changes.
# CMake sees this folder under another name: it refuses header folders (NumPy's, in .venv) inside a package's own.
$(PREFIX)/.built: $(VENV)/.installed CMakeLists.txt package.xml $(INTERFACES) build/$(ENV)/files
	@echo "Building the interfaces (minutes the first time) ..."
	@mkdir -p build/src && ln -sfn ../.. build/src/sam_ros
	@$(ENTER) flock build/$(ENV)/lock colcon --log-base log/$(ENV) build --symlink-install --merge-install \
	  --build-base build/$(ENV) --install-base $(PREFIX) --paths build/src/sam_ros $(UNDERLAY) --event-handlers console_direct- \
	  --cmake-args -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF -DPython3_EXECUTABLE="$$VIRTUAL_ENV/bin/python"
	@touch $@

build/$(ENV)/files: FORCE
	@mkdir -p $(@D) && printf '%s\n' $(FILES) | cmp -s - $@ || printf '%s\n' $(FILES) > $@
FORCE:
