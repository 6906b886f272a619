// What every operator asks of its operands and attributes.  The operands are
// listed in program.h, their meaning and the ONNX versions in docs/operators.md.
#include "program_check.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define BIT(dtype) (1u << (dtype))
#define FLOATS (BIT(DW_F32) | BIT(DW_F16) | BIT(DW_BF16))
#define INTEGERS (BIT(DW_I32) | BIT(DW_I64))

typedef dw_status check_fn(dw_check *check);

typedef struct operator_rule {
  const char *inputs[DW_OP_INPUTS];  // ONNX names; NULL: no such operand
  const char *outputs[DW_OP_OUTPUTS];
  uint8_t required_inputs;           // a bit each; outputs are always required
  uint8_t integers, floats;          // attributes in use, a bit each
  bool in_place;
  check_fn *check;
} operator_rule;

static const operator_rule *rule_of(uint32_t op);

// ---- Saying what is wrong ---------------------------------------------------------

static const dw_op *current(const dw_check *check) { return &check->program->ops[check->op]; }

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static dw_status refuse(dw_check *check, const char *format, ...) {
  char words[200];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(words, sizeof words, format, arguments);
  va_end(arguments);
  return dw_fail(check->error, DW_INVALID, "op %u %s: %s", check->op, dw_operator_name(current(check)->op), words);
}

const char *dw_operand_name(uint32_t op, dw_operand_kind kind, uint32_t position) {
  const operator_rule *rule = rule_of(op);
  const char *name = kind == DW_OPERAND_INPUT ? rule->inputs[position] : rule->outputs[position];
  return name ? name : "?";
}

bool dw_operator_in_place(uint32_t op) { return rule_of(op)->in_place; }

// An operand of the operator that is being checked.
typedef struct operand {
  const char *name;
  uint32_t index;
  const dw_program_view *view;
} operand;

static operand input(const dw_check *check, uint32_t position) {
  const dw_op *op = current(check);
  return (operand){dw_operand_name(op->op, DW_OPERAND_INPUT, position), op->inputs[position],
                   &check->program->views[op->inputs[position]]};
}

static operand output(const dw_check *check, uint32_t position) {
  const dw_op *op = current(check);
  return (operand){dw_operand_name(op->op, DW_OPERAND_OUTPUT, position), op->outputs[position],
                   &check->program->views[op->outputs[position]]};
}

static bool present(const dw_check *check, uint32_t position) {
  return current(check)->inputs[position] != DW_NO_TENSOR;
}

// "8", "p0", "3*p1+2"
static const char *affine_text(dw_affine affine, char *text, size_t size) {
  char scale[16] = "", constant[32] = "";
  if (affine.scale != 1) snprintf(scale, sizeof scale, "%" PRId32 "*", affine.scale);
  if (affine.constant) snprintf(constant, sizeof constant, "%+" PRId64, affine.constant);
  if (affine.scale) snprintf(text, size, "%sp%u%s", scale, affine.param, constant);
  else snprintf(text, size, "%" PRId64, affine.constant);
  return text;
}

// ---- Small rules --------------------------------------------------------------------

static dw_status want_dtype(dw_check *check, operand of, uint32_t allowed, const char *words) {
  if (allowed & BIT(of.view->dtype)) return DW_OK;
  return refuse(check, "%s (tensor %u) is %s, not %s", of.name, of.index, dw_dtype_name(of.view->dtype), words);
}

static dw_status want_float(dw_check *check, operand of) { return want_dtype(check, of, FLOATS, "F32, F16 or BF16"); }
static dw_status want_f32(dw_check *check, operand of) { return want_dtype(check, of, BIT(DW_F32), "F32"); }
static dw_status want_integer(dw_check *check, operand of) { return want_dtype(check, of, INTEGERS, "I32 or I64"); }

static dw_status want_rank(dw_check *check, operand of, uint32_t least, uint32_t most) {
  if (of.view->rank >= least && of.view->rank <= most) return DW_OK;
  if (least == most) return refuse(check, "%s (tensor %u) has rank %u, not %u", of.name, of.index, of.view->rank, least);
  return refuse(check, "%s (tensor %u) has rank %u, not %u to %u", of.name, of.index, of.view->rank, least, most);
}

static dw_status want_dim(dw_check *check, operand of, uint32_t dim, dw_affine expected) {
  char is[64], want[64];
  if (dw_affine_equal(of.view->dims[dim], expected)) return DW_OK;
  return refuse(check, "%s (tensor %u) has dims[%u] = %s, not %s", of.name, of.index, dim,
                affine_text(of.view->dims[dim], is, sizeof is), affine_text(expected, want, sizeof want));
}

static dw_affine constant(int64_t value) { return (dw_affine){.constant = value}; }

static bool is_constant(dw_affine affine, int64_t value) { return !affine.scale && affine.constant == value; }

static dw_status want_shape(dw_check *check, operand of, const dw_program_view *like) {
  dw_status status = want_rank(check, of, like->rank, like->rank);
  for (uint32_t d = 0; status == DW_OK && d < like->rank; d++) status = want_dim(check, of, d, like->dims[d]);
  return status;
}

static dw_affine last_dim(const dw_program_view *view) { return view->dims[view->rank - 1]; }

// At least one element in the last axis, whatever the parameters are.
static dw_status want_last_axis(dw_check *check, operand of) {
  if (dw_affine_min(check->program, last_dim(of.view)) >= 1) return DW_OK;
  return refuse(check, "%s (tensor %u) has a last axis that can be empty", of.name, of.index);
}

static dw_status want_axis_last(dw_check *check, operand of) {
  int32_t axis = current(check)->i[0];
  if (axis == -1 || axis == (int32_t)of.view->rank - 1) return DW_OK;
  return refuse(check, "axis %" PRId32 " of %s (tensor %u), but only the last one is offered", axis, of.name, of.index);
}

// ---- Broadcasting (ONNX's multidirectional one) -----------------------------------------

// Dimension `from_end` counted from the last; absent ones are 1.
static dw_affine dim_from_end(const dw_program_view *view, uint32_t from_end) {
  return from_end < view->rank ? view->dims[view->rank - 1 - from_end] : constant(1);
}

// C has the broadcast shape of A and B, the last `skip` dimensions left aside.
static dw_status want_broadcast(dw_check *check, operand a, operand b, operand c, uint32_t skip) {
  uint32_t rank = a.view->rank > b.view->rank ? a.view->rank : b.view->rank;
  char left[64], right[64];
  dw_status status = want_rank(check, c, rank, rank);
  for (uint32_t at = skip; status == DW_OK && at < rank; at++) {
    dw_affine of_a = dim_from_end(a.view, at), of_b = dim_from_end(b.view, at);
    if (!dw_affine_equal(of_a, of_b) && !is_constant(of_a, 1) && !is_constant(of_b, 1))
      return refuse(check, "%s (tensor %u) and %s (tensor %u) do not broadcast: dimension %u from the end is %s and %s",
                    a.name, a.index, b.name, b.index, at + 1, affine_text(of_a, left, sizeof left),
                    affine_text(of_b, right, sizeof right));
    status = want_dim(check, c, rank - 1 - at, is_constant(of_a, 1) ? of_b : of_a);
  }
  return status;
}

// ---- Operators --------------------------------------------------------------------------

static dw_status check_matmul(dw_check *check) {
  operand a = input(check, 0), b = input(check, 1), y = output(check, 0);
  dw_status status = want_f32(check, a);
  if (status == DW_OK) status = want_float(check, b);
  if (status == DW_OK) status = want_f32(check, y);
  if (status == DW_OK) status = want_rank(check, a, 2, DW_MAX_RANK);
  if (status == DW_OK) status = want_rank(check, b, 2, DW_MAX_RANK);
  if (status == DW_OK) status = want_dim(check, b, b.view->rank - 2, last_dim(a.view));
  if (status == DW_OK) status = want_broadcast(check, a, b, y, 2);
  if (status == DW_OK) status = want_dim(check, y, y.view->rank - 2, a.view->dims[a.view->rank - 2]);
  if (status == DW_OK) status = want_dim(check, y, y.view->rank - 1, last_dim(b.view));
  return status;
}

static dw_status check_binary(dw_check *check) {
  operand a = input(check, 0), b = input(check, 1), c = output(check, 0);
  dw_status status = want_float(check, a);
  if (status == DW_OK) status = want_float(check, b);
  if (status == DW_OK) status = want_float(check, c);
  if (status == DW_OK) status = want_broadcast(check, a, b, c, 0);
  return status;
}

static dw_status check_unary(dw_check *check) {
  operand x = input(check, 0), y = output(check, 0);
  dw_status status = want_float(check, x);
  if (status == DW_OK) status = want_float(check, y);
  if (status == DW_OK) status = want_shape(check, y, x.view);
  return status;
}

static dw_status check_gelu(dw_check *check) {
  int32_t approximate = current(check)->i[0];
  if (approximate != 0 && approximate != 1) return refuse(check, "approximate is %" PRId32 ", not 0 or 1", approximate);
  return check_unary(check);
}

static dw_status check_identity(dw_check *check) {
  operand x = input(check, 0), y = output(check, 0);
  dw_status status = want_dtype(check, y, BIT(x.view->dtype), dw_dtype_name(x.view->dtype));
  if (status == DW_OK) status = want_shape(check, y, x.view);
  return status;
}

static dw_status check_cast(dw_check *check) {
  operand x = input(check, 0), y = output(check, 0);
  const char *words = "F32, F16, BF16, I32 or I64";
  dw_status status = want_dtype(check, x, FLOATS | INTEGERS, words);
  if (status == DW_OK) status = want_dtype(check, y, FLOATS | INTEGERS, words);
  if (status == DW_OK) status = want_shape(check, y, x.view);
  return status;
}

static dw_status check_rms_normalization(dw_check *check) {
  operand scale = input(check, 1);
  if (current(check)->f[0] < 0) return refuse(check, "epsilon is negative");
  dw_status status = want_float(check, scale);
  if (status == DW_OK) status = check_unary(check);
  if (status == DW_OK) status = want_rank(check, scale, 1, 1);
  if (status == DW_OK) status = want_dim(check, scale, 0, last_dim(input(check, 0).view));
  return status;
}

static dw_status check_softmax(dw_check *check) {
  dw_status status = want_axis_last(check, input(check, 0));
  return status == DW_OK ? check_unary(check) : status;
}

static dw_status check_argmax(dw_check *check) {
  operand x = input(check, 0), y = output(check, 0);
  uint32_t rank = x.view->rank;
  dw_status status = want_float(check, x);
  if (status == DW_OK) status = want_axis_last(check, x);
  if (status == DW_OK) status = want_last_axis(check, x);
  if (status == DW_OK) status = want_integer(check, y);
  // With or without the axis that was reduced (ONNX's keepdims).
  if (status == DW_OK) status = want_rank(check, y, rank > 1 ? rank - 1 : 1, rank);
  for (uint32_t d = 0; status == DW_OK && d + 1 < rank; d++) status = want_dim(check, y, d, x.view->dims[d]);
  if (status == DW_OK && y.view->rank == rank) status = want_dim(check, y, rank - 1, constant(1));
  return status;
}

static dw_status check_topk(dw_check *check) {
  operand x = input(check, 0), values = output(check, 0), indices = output(check, 1);
  int32_t k = current(check)->i[0];
  uint32_t rank = x.view->rank;
  if (k < 1 || k > dw_affine_min(check->program, last_dim(x.view)))
    return refuse(check, "k is %" PRId32 ", not 1 to the last dimension of %s (tensor %u)", k, x.name, x.index);
  dw_status status = want_float(check, x);
  if (status == DW_OK) status = want_float(check, values);
  if (status == DW_OK) status = want_integer(check, indices);
  if (status == DW_OK) status = want_rank(check, values, rank, rank);
  for (uint32_t d = 0; status == DW_OK && d + 1 < rank; d++) status = want_dim(check, values, d, x.view->dims[d]);
  if (status == DW_OK) status = want_dim(check, values, rank - 1, constant(k));
  if (status == DW_OK) status = want_shape(check, indices, values.view);
  return status;
}

static dw_status check_gather(dw_check *check) {
  operand data = input(check, 0), indices = input(check, 1), y = output(check, 0);
  uint32_t allowed = BIT(data.view->dtype), rank = indices.view->rank + data.view->rank - 1;
  if (allowed & FLOATS) allowed |= BIT(DW_F32);
  dw_status status = want_integer(check, indices);
  if (status == DW_OK)
    status = want_dtype(check, y, allowed, allowed & FLOATS ? "F32 or as data is" : dw_dtype_name(data.view->dtype));
  if (status == DW_OK && dw_affine_min(check->program, data.view->dims[0]) < 1)
    status = refuse(check, "%s (tensor %u) can have no row", data.name, data.index);
  if (status == DW_OK) status = want_rank(check, y, rank, rank);
  for (uint32_t d = 0; status == DW_OK && d < indices.view->rank; d++)
    status = want_dim(check, y, d, indices.view->dims[d]);
  for (uint32_t d = 1; status == DW_OK && d < data.view->rank; d++)
    status = want_dim(check, y, indices.view->rank + d - 1, data.view->dims[d]);
  return status;
}

// What RotaryEmbedding and Attention see in [T, heads*D], [1, T, heads*D] and [1, heads, T, D].
typedef struct heads_shape {
  dw_affine rows;
  int64_t heads, head_dim;
} heads_shape;

static dw_status read_heads(dw_check *check, operand of, int64_t heads, heads_shape *shape) {
  const dw_program_view *view = of.view;
  dw_status status = want_rank(check, of, 2, 4);
  if (status == DW_OK && view->rank > 2) status = want_dim(check, of, 0, constant(1));
  if (status != DW_OK) return status;
  dw_affine width = last_dim(view);
  if (width.scale) return refuse(check, "%s (tensor %u) has a last dimension that varies", of.name, of.index);
  if (view->rank == 4) {
    if (view->dims[1].scale) return refuse(check, "%s (tensor %u) has heads that vary", of.name, of.index);
    if (heads == 0) heads = view->dims[1].constant;
    *shape = (heads_shape){.rows = view->dims[2], .heads = heads, .head_dim = width.constant};
    status = want_dim(check, of, 1, constant(heads));
  } else {
    *shape = (heads_shape){.rows = view->dims[view->rank - 2], .heads = heads};
    if (heads < 1 || width.constant % heads)
      return refuse(check, "%s (tensor %u) has %" PRId64 " columns, which are not %" PRId64 " heads", of.name, of.index,
                    width.constant, heads);
    shape->head_dim = width.constant / heads;
  }
  if (status == DW_OK && (shape->heads < 1 || shape->head_dim < 1))
    return refuse(check, "%s (tensor %u) has no heads", of.name, of.index);
  return status;
}

// [count] or [1, count]
static dw_status want_positions(dw_check *check, operand of, dw_affine count) {
  dw_status status = want_integer(check, of);
  if (status == DW_OK) status = want_rank(check, of, 1, 2);
  if (status == DW_OK && of.view->rank == 2) status = want_dim(check, of, 0, constant(1));
  if (status == DW_OK) status = want_dim(check, of, of.view->rank - 1, count);
  return status;
}

static dw_status check_angles(dw_check *check, operand of, const dw_affine *rows, int64_t pairs) {
  uint32_t rank = of.view->rank;
  dw_status status = want_float(check, of);
  if (status == DW_OK) status = want_rank(check, of, 2, rows ? 3 : 2);
  if (status == DW_OK && rank == 3) status = want_dim(check, of, 0, constant(1));
  if (status == DW_OK && rows) status = want_dim(check, of, rank - 2, *rows);
  if (status == DW_OK) status = want_dim(check, of, rank - 1, constant(pairs));
  return status;
}

static dw_status check_rotary_embedding(dw_check *check) {
  const dw_op *op = current(check);
  operand x = input(check, 0), cosines = input(check, 1), sines = input(check, 2), y = output(check, 0);
  heads_shape shape = {.heads = 0};
  if (op->i[0] < 0) return refuse(check, "num_heads is %" PRId32, op->i[0]);
  if (op->i[1] != 0 && op->i[1] != 1) return refuse(check, "interleaved is %" PRId32 ", not 0 or 1", op->i[1]);
  dw_status status = want_f32(check, x);
  if (status == DW_OK) status = want_f32(check, y);
  if (status == DW_OK) status = read_heads(check, x, op->i[0], &shape);
  if (status == DW_OK) status = want_shape(check, y, x.view);
  if (status != DW_OK) return status;
  int64_t rotary = op->i[2] ? op->i[2] : shape.head_dim;
  if (rotary < 2 || rotary > shape.head_dim || rotary % 2)
    return refuse(check, "rotary_embedding_dim is %" PRId64 ", not even and at most %" PRId64, rotary, shape.head_dim);
  bool indexed = present(check, 3);
  if (indexed) status = want_positions(check, input(check, 3), shape.rows);
  if (status == DW_OK) status = check_angles(check, cosines, indexed ? NULL : &shape.rows, rotary / 2);
  if (status == DW_OK && indexed && dw_affine_min(check->program, cosines.view->dims[0]) < 1)
    return refuse(check, "%s (tensor %u) can have no row", cosines.name, cosines.index);
  if (status == DW_OK) status = want_float(check, sines);
  if (status == DW_OK) status = want_shape(check, sines, cosines.view);
  return status;
}

// ---- Attention -----------------------------------------------------------------------------

static const dw_append *find_append(const dw_check *check, uint32_t slot) {
  uint32_t at = check->slot_appends[slot];
  return at ? &check->program->appends[at - 1] : NULL;
}

static dw_status add_append(dw_check *check, uint32_t slot, dw_affine rows) {
  dw_program *program = check->program;
  const dw_append *append = find_append(check, slot);
  char is[64], want[64];
  if (append && !dw_affine_equal(append->rows, rows))
    return refuse(check, "K appends %s rows, but an earlier Attention over this cache %s",
                  affine_text(rows, is, sizeof is), affine_text(append->rows, want, sizeof want));
  if (append) return DW_OK;
  program->appends[program->append_count++] = (dw_append){.slot = slot, .rows = rows};
  check->slot_appends[slot] = program->append_count;
  return DW_OK;
}

// False if this layer of the cache was attended to before.
static bool add_layer(dw_check *check, uint32_t slot, uint32_t layer) {
  uint64_t key = ((uint64_t)slot << 32 | layer) + 1;
  uint32_t at = (uint32_t)(key * UINT64_C(0x9E3779B97F4A7C15) >> 40) & check->attended_mask;
  for (; check->attended[at]; at = (at + 1) & check->attended_mask)
    if (check->attended[at] == key) return false;
  check->attended[at] = key;
  return true;
}

static dw_status check_attention_attributes(dw_check *check) {
  const dw_op *op = current(check);
  if (op->i[0] < 1 || op->i[1] < 1 || op->i[0] % op->i[1])
    return refuse(check, "q_num_heads %" PRId32 " is not a multiple of kv_num_heads %" PRId32, op->i[0], op->i[1]);
  if (op->i[0] > DW_MAX_ATTENTION_HEADS) // a kernel keeps some of every head that shares a key
    return dw_fail(check->error, DW_LIMIT, "op %u Attention: q_num_heads is %" PRId32 ", at most %d", check->op,
                   op->i[0], DW_MAX_ATTENTION_HEADS);
  if (op->i[2] != 1) return refuse(check, "is_causal is %" PRId32 ", but must be 1", op->i[2]);
  if (op->f[1] < 0) return refuse(check, "softcap is negative");
  return DW_OK;
}

static dw_status check_attention_cache(dw_check *check, const heads_shape *key) {
  const dw_op *op = current(check);
  operand past = input(check, 4);
  const dw_slot *slot = &check->program->slots[past.view->index];
  const dw_cache_desc *cache = &slot->cache;
  if (slot->sealed)
    return dw_fail(check->error, DW_READONLY, "op %u Attention: %s (tensor %u) is sealed", check->op, past.name,
                   past.index);
  if (cache->kv_heads != (uint32_t)op->i[1] || cache->head_dim != (uint64_t)key->head_dim)
    return refuse(check, "%s (tensor %u) holds %u heads of %u, K %" PRId64 " heads of %" PRId64, past.name, past.index,
                  cache->kv_heads, cache->head_dim, key->heads, key->head_dim);
  if (op->i[3] < 0 || (uint32_t)op->i[3] >= cache->layers)
    return refuse(check, "layer %" PRId32 " of %s (tensor %u), which has %u", op->i[3], past.name, past.index,
                  cache->layers);
  dw_status status = add_append(check, past.view->index, key->rows);
  if (status == DW_OK && !add_layer(check, past.view->index, (uint32_t)op->i[3]))
    return refuse(check, "layer %" PRId32 " of %s (tensor %u) was attended to before", op->i[3], past.name, past.index);
  return status;
}

static dw_status check_attention(dw_check *check) {
  const dw_op *op = current(check);
  operand q = input(check, 0), k = input(check, 1), v = input(check, 2), y = output(check, 0);
  heads_shape query = {.heads = 0}, key = {.heads = 0};
  dw_status status = check_attention_attributes(check);
  if (status == DW_OK) status = want_f32(check, q);
  if (status == DW_OK) status = want_f32(check, k);
  if (status == DW_OK) status = want_f32(check, v);
  if (status == DW_OK) status = want_f32(check, y);
  if (status == DW_OK) status = read_heads(check, q, op->i[0], &query);
  if (status == DW_OK) status = want_rank(check, k, q.view->rank, q.view->rank);
  if (status == DW_OK) status = read_heads(check, k, op->i[1], &key);
  if (status != DW_OK) return status;
  if (key.head_dim != query.head_dim)
    return refuse(check, "K (tensor %u) has heads of %" PRId64 ", Q of %" PRId64, k.index, key.head_dim,
                  query.head_dim);
  status = want_dim(check, k, k.view->rank - 2, query.rows);
  if (status == DW_OK) status = want_shape(check, v, k.view);
  if (status == DW_OK) status = want_shape(check, y, q.view);
  if (status == DW_OK) status = check_attention_cache(check, &key);
  return status;
}

// ---- The table -------------------------------------------------------------------------------

#define BINARY {.inputs = {"A", "B"}, .outputs = {"C"}, .required_inputs = 3, .in_place = true, .check = check_binary}
#define UNARY .inputs = {"X"}, .outputs = {"Y"}, .required_inputs = 1, .in_place = true

static const operator_rule rules[] = {
    [DW_OP_MatMul] = {.inputs = {"A", "B"}, .outputs = {"Y"}, .required_inputs = 3, .check = check_matmul},
    [DW_OP_Add] = BINARY,
    [DW_OP_Mul] = BINARY,
    [DW_OP_Sub] = BINARY,
    [DW_OP_Div] = BINARY,
    [DW_OP_RMSNormalization] = {.inputs = {"X", "scale"}, .outputs = {"Y"}, .required_inputs = 3, .floats = 1,
                                .check = check_rms_normalization},
    [DW_OP_RotaryEmbedding] = {.inputs = {"X", "cos_cache", "sin_cache", "position_ids"}, .outputs = {"Y"},
                               .required_inputs = 7, .integers = 7, .check = check_rotary_embedding},
    [DW_OP_Attention] = {.inputs = {"Q", "K", "V", NULL, "past"}, .outputs = {"Y"}, .required_inputs = 23,
                         .integers = 15, .floats = 3, .check = check_attention},
    [DW_OP_Gather] = {.inputs = {"data", "indices"}, .outputs = {"output"}, .required_inputs = 3,
                      .check = check_gather},
    [DW_OP_Swish] = {UNARY, .floats = 1, .check = check_unary},
    [DW_OP_Softmax] = {.inputs = {"input"}, .outputs = {"output"}, .required_inputs = 1, .integers = 1,
                       .check = check_softmax},
    [DW_OP_ArgMax] = {.inputs = {"data"}, .outputs = {"reduced"}, .required_inputs = 1, .integers = 1,
                      .check = check_argmax},
    [DW_OP_TopK] = {.inputs = {"X"}, .outputs = {"Values", "Indices"}, .required_inputs = 1, .integers = 1,
                    .check = check_topk},
    [DW_OP_Cast] = {UNARY, .check = check_cast},
    [DW_OP_Identity] = {UNARY, .check = check_identity},
    [DW_OP_Sigmoid] = {UNARY, .check = check_unary},
    [DW_OP_Tanh] = {UNARY, .check = check_unary},
    [DW_OP_Gelu] = {UNARY, .integers = 1, .check = check_gelu},
    [DW_OP_Axpby] = {UNARY, .floats = 3, .check = check_unary},
};

static const operator_rule *rule_of(uint32_t op) { return &rules[op]; }

// ---- Every operator --------------------------------------------------------------------------

static dw_status check_attributes(dw_check *check, const operator_rule *rule) {
  const dw_op *op = current(check);
  if (op->reserved) return refuse(check, "the reserved field is not 0");
  for (uint32_t i = 0; i < 4; i++)
    if (op->i[i] && !(rule->integers & 1u << i)) return refuse(check, "attribute i%u is not in use, but not 0", i);
  for (uint32_t i = 0; i < 2; i++) {
    if (!isfinite(op->f[i])) return refuse(check, "attribute f%u is not finite", i);
    if (op->f[i] != 0 && !(rule->floats & 1u << i)) return refuse(check, "attribute f%u is not in use, but not 0", i);
  }
  return DW_OK;
}

static dw_status check_operand(dw_check *check, const char *name, uint32_t index, bool required, bool cache) {
  const dw_program *program = check->program;
  if (index == DW_NO_TENSOR) return required ? refuse(check, "%s is left out", name) : DW_OK;
  if (index >= program->view_count) return refuse(check, "%s is tensor %u of %u", name, index, program->view_count);
  bool is_cache = program->views[index].rank == 0;
  if (is_cache != cache)
    return refuse(check, "%s (tensor %u) is %s cache", name, index, is_cache ? "a" : "no");
  return DW_OK;
}

static dw_status check_operands(dw_check *check, const operator_rule *rule) {
  const dw_op *op = current(check);
  dw_status status = DW_OK;
  for (uint32_t i = 0; status == DW_OK && i < DW_OP_INPUTS; i++) {
    if (!rule->inputs[i] && op->inputs[i] != DW_NO_TENSOR) return refuse(check, "takes no input %u", i);
    bool cache = op->op == DW_OP_Attention && i == 4;
    status = check_operand(check, rule->inputs[i], op->inputs[i], rule->required_inputs & 1u << i, cache);
  }
  for (uint32_t i = 0; status == DW_OK && i < DW_OP_OUTPUTS; i++) {
    if (!rule->outputs[i] && op->outputs[i] != DW_NO_TENSOR) return refuse(check, "has no output %u", i);
    status = check_operand(check, rule->outputs[i], op->outputs[i], rule->outputs[i] != NULL, false);
  }
  return status;
}

dw_status dw_operator_check(dw_check *check) {
  const dw_op *op = current(check);
  if (op->op >= sizeof rules / sizeof *rules || !rules[op->op].check)
    return dw_fail(check->error, DW_UNSUPPORTED, "op %u: there is no operator %u", check->op, op->op);
  const operator_rule *rule = rule_of(op->op);
  dw_status status = check_attributes(check, rule);
  if (status == DW_OK) status = check_operands(check, rule);
  if (status == DW_OK) status = rule->check(check);
  return status;
}
