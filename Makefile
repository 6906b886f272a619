# What a person types; tools/, CMakePresets.json and CMakeLists.txt do the work.
PYTHON ?= python3
BUILD = build
export NINJA_STATUS = build %e s [%f/%t] 

# Sets up what is missing, configures once, and builds.
NINJA = set -e; ninja=$$($(PYTHON) tools/setup.py --print DW_NINJA); \
  test -f $(BUILD)/build.ninja || \
  cmake --preset release -DCMAKE_MAKE_PROGRAM=$$ninja --log-level=WARNING >/dev/null; \
  $$ninja -C $(BUILD)

all:
	@$(NINJA) product

run: all
	@echo "== driftwood chat models/default: two messages to a model in a Wasm guest"
	printf 'Tell me a story.\nWhat is 123 + 456?\n' | $(BUILD)/driftwood chat models/default
	@echo "== driftwood prove: what this machine does, claim by claim"
	$(BUILD)/driftwood prove

test:
	@$(PYTHON) tools/setup.py --tools test
	@$(NINJA)
	@ctest --test-dir $(BUILD) -j2 --output-on-failure

check:
	@$(PYTHON) tools/check.py

figures: all
	@$(PYTHON) tools/figures.py

clean:
	rm -rf build build-*

.PHONY: all run test check figures clean
