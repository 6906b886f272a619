# What a person types; CMakePresets.json and tools/ do the work.
PYTHON ?= python3
BUILD = build

all: $(BUILD)/CMakeCache.txt
	@$(NINJA) -C $(BUILD) --quiet product

NINJA = $(shell $(PYTHON) tools/setup.py --need ninja --print DW_NINJA)

$(BUILD)/CMakeCache.txt:
	@$(PYTHON) tools/setup.py
	@cmake --preset release -DCMAKE_MAKE_PROGRAM=$(NINJA) --log-level=WARNING

run: all
	@echo "== driftwood prove: what this machine does, claim by claim"
	$(BUILD)/driftwood prove
	@echo "== driftwood chat models/default: two messages to a model in a Wasm guest"
	printf 'Tell me a story.\nWhat is 123 + 456?\n' | $(BUILD)/driftwood chat models/default

test: all
	@$(PYTHON) tools/setup.py --tools test
	@$(NINJA) -C $(BUILD) --quiet
	@ctest --test-dir $(BUILD) -j2 --output-on-failure

check:
	@$(PYTHON) tools/check.py

figures: all
	@$(PYTHON) tools/figures.py

clean:
	rm -rf build build-*

.PHONY: all run test check figures clean
