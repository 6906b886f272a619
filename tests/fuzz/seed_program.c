// Writes seeds for fuzz_program: `seed_program FOLDER < program_seeds.txt`, of which
// each line is a name, a colon and a program as program_text.h has it; and a whole
// decoder of one layer.
//
//   cc -D_GNU_SOURCE -Iinclude -Isrc -Itests tests/fuzz/seed_program.c src/program*.c src/plan.c src/sha256.c
//      src/status.c -o /tmp/seed_program
#include "fuzz.h"
#include "llama_program.h"
#include "program_bytes.h"
#include "program_text.h"

static void write_seed(const char *folder, const char *name, program_bytes *program) {
  static uint8_t bytes[1 << 16];
  char path[1024];
  number_stream stream = {.at = bytes, .end = bytes + sizeof bytes, .writing = true};
  pass_program(&stream, program);
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "wb");
  MUST(file != NULL);
  size_t size = (size_t)(stream.at - bytes);
  MUST(fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

// Handles are renumbered by none: handle n is slots[n - 1] on both sides.
static program_bytes *collect(const dw_program_source *source, dw_slot_fn describe, void *user) {
  static program_bytes program;
  memset(&program, 0, sizeof program);
  MUST(source->param_count <= BYTES_PARAMS && source->tensor_count <= BYTES_TENSORS && source->op_count <= BYTES_OPS);
  memcpy(program.params, source->params, source->param_count * sizeof *source->params);
  memcpy(program.tensors, source->tensors, source->tensor_count * sizeof *source->tensors);
  memcpy(program.ops, source->ops, source->op_count * sizeof *source->ops);
  program.param_count = source->param_count;
  program.tensor_count = source->tensor_count;
  program.op_count = source->op_count;
  while (program.slot_count < BYTES_SLOTS &&
         describe(user, program.slot_count + 1, &program.slots[program.slot_count], NULL) == DW_OK)
    program.slot_count++;
  return &program;
}

static void write_text(const char *folder, char *line) {
  static program_text text;
  char *colon = strchr(line, ':');
  MUST(colon != NULL);
  *colon = 0;
  program_text_read(&text, colon + 1);
  dw_program_source source = program_text_source(&text);
  write_seed(folder, line, collect(&source, program_text_describe, &text));
}

static void write_llama(const char *folder) {
  static llama_program llama;
  llama_program_build(&llama, &(llama_shape){.layers = 1, .hidden = 64, .heads = 4, .kv_heads = 2, .head_dim = 16,
                                             .inner = 96, .vocabulary = 256, .context = 128, .chunk = 8,
                                             .weight_dtype = DW_BF16});
  dw_program_source source = llama_source(&llama);
  write_seed(folder, "decoder", collect(&source, llama_describe, &llama));
}

int main(int argc, char **argv) {
  char line[2048];
  MUST(argc == 2);
  while (fgets(line, sizeof line, stdin)) write_text(argv[1], line);
  write_llama(argv[1]);
  return 0;
}
