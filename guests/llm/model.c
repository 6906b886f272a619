#include "model.h"

#include <math.h>

// ---- Weights ---------------------------------------------------------------------------

// A handle; or negative, after the host's words were logged once.
static int32_t weight(llm_model *model, const char *name, bool *ok) {
  if (!*ok) return -1;
  int32_t handle = dw_model_tensor(model->model, name, (uint32_t)strlen(name));
  if (handle < 0) {
    dw_failed(name);
    *ok = false;
  }
  return handle;
}

static int32_t layer_weight(llm_model *model, uint32_t layer, const char *part, bool *ok) {
  char name[96];
  snprintf(name, sizeof name, "model.layers.%u.%s", layer, part);
  return weight(model, name, ok);
}

static bool open_layer(llm_model *model, uint32_t i) {
  const llm_config *config = &model->config;
  llm_layer_weights *layer = &model->layers[i];
  bool ok = true;
  layer->input_norm = layer_weight(model, i, "input_layernorm.weight", &ok);
  layer->q = layer_weight(model, i, "self_attn.q_proj.weight", &ok);
  layer->k = layer_weight(model, i, "self_attn.k_proj.weight", &ok);
  layer->v = layer_weight(model, i, "self_attn.v_proj.weight", &ok);
  layer->o = layer_weight(model, i, "self_attn.o_proj.weight", &ok);
  layer->post_norm = layer_weight(model, i, "post_attention_layernorm.weight", &ok);
  layer->gate = layer_weight(model, i, "mlp.gate_proj.weight", &ok);
  layer->up = layer_weight(model, i, "mlp.up_proj.weight", &ok);
  layer->down = layer_weight(model, i, "mlp.down_proj.weight", &ok);
  if (config->attention_bias) {
    layer->q_bias = layer_weight(model, i, "self_attn.q_proj.bias", &ok);
    layer->k_bias = layer_weight(model, i, "self_attn.k_proj.bias", &ok);
    layer->v_bias = layer_weight(model, i, "self_attn.v_proj.bias", &ok);
    layer->o_bias = layer_weight(model, i, "self_attn.o_proj.bias", &ok);
  }
  if (config->mlp_bias) {
    layer->gate_bias = layer_weight(model, i, "mlp.gate_proj.bias", &ok);
    layer->up_bias = layer_weight(model, i, "mlp.up_proj.bias", &ok);
    layer->down_bias = layer_weight(model, i, "mlp.down_proj.bias", &ok);
  }
  return ok;
}

static bool open_weights(llm_model *model) {
  bool ok = true;
  model->embedding = weight(model, "model.embed_tokens.weight", &ok);
  model->norm = weight(model, "model.norm.weight", &ok);
  model->output = model->config.tied ? model->embedding : weight(model, "lm_head.weight", &ok);
  model->layers = calloc(model->config.layers, sizeof *model->layers);
  for (uint32_t i = 0; ok && model->layers && i < model->config.layers; i++) ok = open_layer(model, i);
  return ok && model->layers;
}

// ---- State -----------------------------------------------------------------------------

static bool open_cache(llm_model *model, uint32_t dtype) {
  const llm_config *config = &model->config;
  dw_cache_desc desc = {.dtype = dtype,
                        .layers = config->layers,
                        .kv_heads = config->kv_heads,
                        .head_dim = config->head_dim,
                        .max_rows = model->context,
                        .rope_theta = config->rope_theta};
  int32_t cache = dw_cache_new(&desc, "kv", 2);
  if (cache < 0) dw_failed("the KV cache");
  model->cache = (dw_handle)cache;
  return cache >= 0;
}

static bool open_linear(llm_model *model, bool all_logits) {
  uint32_t pairs = model->config.head_dim / 2, rows = all_logits ? model->chunk : 1;
  uint64_t vocabulary = model->config.vocabulary;
  if (rows * vocabulary * sizeof(float) > INT32_MAX ||
      (uint64_t)model->context * pairs * sizeof(float) > INT32_MAX) {
    dw_say(DW_SDK_ERROR, "context=%u and chunk=%u need more linear memory than there is", model->context,
           model->chunk);
    return false;
  }
  model->tokens = dw_tensor_memory(model->chunk * sizeof *model->tokens);
  model->positions = dw_tensor_memory(model->chunk * sizeof *model->positions);
  model->cosines = dw_tensor_memory((size_t)model->context * pairs * sizeof *model->cosines);
  model->sines = dw_tensor_memory((size_t)model->context * pairs * sizeof *model->sines);
  model->logits = dw_tensor_memory((size_t)(rows * vocabulary) * sizeof *model->logits);
  model->frequencies = malloc(pairs * sizeof *model->frequencies);
  if (!model->tokens || !model->positions || !model->cosines || !model->sines || !model->logits ||
      !model->frequencies) {
    dw_say(DW_SDK_ERROR, "no linear memory for context=%u and chunk=%u", model->context, model->chunk);
    return false;
  }
  llm_rope_frequencies(&model->config, model->frequencies);
  model->tokens_view = dw_matrix_view("tokens", DW_I32, model->tokens, model->chunk, 0);
  model->positions_view = dw_matrix_view("positions", DW_I32, model->positions, model->chunk, 0);
  model->cosines_view = dw_matrix_view("cosines", DW_F32, model->cosines, model->context, pairs);
  model->sines_view = dw_matrix_view("sines", DW_F32, model->sines, model->context, pairs);
  model->logits_view = dw_matrix_view("logits", DW_F32, model->logits, rows, vocabulary);
  return true; // a view that failed fails the program that uses it
}

bool llm_model_open(llm_model *model, uint32_t cache_dtype, bool all_logits) {
  return open_weights(model) && open_cache(model, cache_dtype) && open_linear(model, all_logits);
}

// ---- Programs --------------------------------------------------------------------------

typedef struct graph {
  dw_builder b;
  const llm_config *config;
  dw_affine rows; // of this run: the only parameter
  uint32_t cache, cosines, sines, positions;
} graph;

static uint32_t norm(graph *g, uint32_t x, int32_t scale, dw_affine rows) {
  uint32_t y = dw_build_temp(&g->b, DW_F32, rows, g->config->hidden);
  dw_build_op(&g->b, DW_OP_RMSNormalization, y, 2, x, dw_build_handle(&g->b, scale))->f[0] =
      g->config->epsilon;
  return y;
}

// x times the transpose of [outputs, inputs], as Hugging Face stores weights.
static uint32_t linear(graph *g, uint32_t x, int32_t matrix, int32_t bias, uint32_t outputs) {
  uint32_t y = dw_build_temp(&g->b, DW_F32, g->rows, outputs);
  dw_build_op(&g->b, DW_OP_MatMul, y, 2, x, dw_build_transposed(&g->b, dw_build_handle(&g->b, matrix)));
  if (bias) dw_build_op(&g->b, DW_OP_Add, y, 2, y, dw_build_handle(&g->b, bias));
  return y;
}

static uint32_t rotate(graph *g, uint32_t x, uint32_t heads) {
  uint32_t y = dw_build_temp(&g->b, DW_F32, g->rows, (uint64_t)heads * g->config->head_dim);
  dw_build_op(&g->b, DW_OP_RotaryEmbedding, y, 4, x, g->cosines, g->sines, g->positions)->i[0] =
      (int32_t)heads;
  return y;
}

static uint32_t attend(graph *g, uint32_t x, const llm_layer_weights *layer, uint32_t index) {
  const llm_config *config = g->config;
  uint32_t wide = config->heads * config->head_dim, narrow = config->kv_heads * config->head_dim;
  uint32_t q = rotate(g, linear(g, x, layer->q, layer->q_bias, wide), config->heads);
  uint32_t k = rotate(g, linear(g, x, layer->k, layer->k_bias, narrow), config->kv_heads);
  uint32_t v = linear(g, x, layer->v, layer->v_bias, narrow);
  uint32_t y = dw_build_temp(&g->b, DW_F32, g->rows, wide);
  dw_op *op = dw_build_op(&g->b, DW_OP_Attention, y, 5, q, k, v, DW_NO_TENSOR, g->cache);
  op->i[0] = (int32_t)config->heads;
  op->i[1] = (int32_t)config->kv_heads;
  op->i[2] = 1;
  op->i[3] = (int32_t)index;
  return linear(g, y, layer->o, layer->o_bias, config->hidden);
}

static uint32_t feed_forward(graph *g, uint32_t x, const llm_layer_weights *layer) {
  uint32_t gate = linear(g, x, layer->gate, layer->gate_bias, g->config->inner);
  uint32_t up = linear(g, x, layer->up, layer->up_bias, g->config->inner);
  dw_build_op(&g->b, DW_OP_Swish, gate, 1, gate);
  dw_build_op(&g->b, DW_OP_Mul, gate, 2, gate, up);
  return linear(g, gate, layer->down, layer->down_bias, g->config->hidden);
}

static void add_head(graph *g, llm_model *model, llm_head head, uint32_t x) {
  if (head == LLM_HEAD_NONE) return;
  bool last = head == LLM_HEAD_LAST;
  dw_affine rows = last ? dw_fixed(1) : g->rows;
  uint32_t logits = dw_build_handle(&g->b, model->logits_view);
  if (last)
    x = dw_build_rows(&g->b, x, dw_per(0, 1, -1), rows);
  else
    logits = dw_build_rows(&g->b, logits, dw_fixed(0), rows);
  uint32_t output = dw_build_transposed(&g->b, dw_build_handle(&g->b, model->output));
  dw_build_op(&g->b, DW_OP_MatMul, logits, 2, norm(g, x, model->norm, rows), output);
}

static int32_t build(llm_model *model, llm_head head) {
  const llm_config *config = &model->config;
  graph g = {.config = config};
  g.rows = dw_per(dw_build_param(&g.b, 1, model->chunk), 1, 0);
  g.cache = dw_build_handle(&g.b, (int32_t)model->cache);
  g.cosines = dw_build_handle(&g.b, model->cosines_view);
  g.sines = dw_build_handle(&g.b, model->sines_view);
  g.positions = dw_build_rows(&g.b, dw_build_handle(&g.b, model->positions_view), dw_fixed(0), g.rows);
  uint32_t tokens = dw_build_rows(&g.b, dw_build_handle(&g.b, model->tokens_view), dw_fixed(0), g.rows);
  uint32_t x = dw_build_temp(&g.b, DW_F32, g.rows, config->hidden);
  dw_build_op(&g.b, DW_OP_Gather, x, 2, dw_build_handle(&g.b, model->embedding), tokens);
  for (uint32_t i = 0; i < config->layers; i++) {
    const llm_layer_weights *layer = &model->layers[i];
    uint32_t y = attend(&g, norm(&g, x, layer->input_norm, g.rows), layer, i);
    dw_build_op(&g.b, DW_OP_Add, x, 2, x, y);
    y = feed_forward(&g, norm(&g, x, layer->post_norm, g.rows), layer);
    dw_build_op(&g.b, DW_OP_Add, x, 2, x, y);
  }
  add_head(&g, model, head, x);
  return dw_build_end(&g.b);
}

dw_handle llm_model_program(llm_model *model, llm_head head) {
  if (model->programs[head]) return model->programs[head];
  int32_t program = build(model, head);
  if (program > 0) model->programs[head] = (dw_handle)program;
  return model->programs[head];
}

// ---- Running ---------------------------------------------------------------------------

void llm_model_prepare(llm_model *model, const uint32_t *tokens, uint32_t count, uint32_t position) {
  uint32_t pairs = model->config.head_dim / 2;
  for (uint32_t i = 0; i < count; i++) {
    model->tokens[i] = (int32_t)tokens[i];
    model->positions[i] = (int32_t)(position + i);
  }
  for (; model->angle_rows < position + count; model->angle_rows++)
    for (uint32_t i = 0; i < pairs; i++) {
      float angle = (float)model->angle_rows * model->frequencies[i];
      model->cosines[(size_t)model->angle_rows * pairs + i] = cosf(angle);
      model->sines[(size_t)model->angle_rows * pairs + i] = sinf(angle);
    }
}
