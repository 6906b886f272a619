// llm: a language model as a guest.
//
// Arguments, a `key=value` a line:
//   model=NAME       the grant to open (default "model")
//   mode=MODE        chat (default), generate, tokenize, tokenize-whole, logits
//   context=N        rows of the KV cache (default 4096, at most what the model was made for)
//   chunk=N          tokens of a prompt that one step takes (default 256)
//   kv=f16|f32       element type of the KV cache (default f16)
//   max_tokens=N     of a reply (default: until the context is full)
//   temperature= top_k= top_p=   sampling (default: as generation_config.json says, else greedy)
//   seed=N           of the sampling (default: from the actor's random source)
//   stop=TEXT        ends a reply before this text; may be given up to 8 times
//   system=TEXT      what a conversation begins with
//
// A message is answered like this:
//   chat             the user's text; the reply comes in pieces, the conversation goes on
//   generate         a text that is continued; every message starts anew
//   tokenize         a JSON list of ids and a newline
//   logits           ids such as "1 2 3"; float32 rows [ids, vocabulary] come in pieces
// Behind a reply comes one log line: reply prompt_tokens=N tokens=M stop=eos|string|length|context
#include "chat.h"
#include "config.h"
#include "model.h"
#include "sampler.h"
#include "text.h"
#include "tokenizer.h"

#include <unistd.h>

#define DEFAULT_CONTEXT 4096
#define DEFAULT_CHUNK 256
#define MAX_LOGITS_BYTES (16u << 20) // of all rows at once

typedef enum llm_mode { MODE_CHAT, MODE_GENERATE, MODE_TOKENIZE, MODE_LOGITS } llm_mode;

static llm_mode mode;
static llm_tokenizer tokenizer;
static llm_model model;
static llm_chat chat;
static llm_sampler sampler;
static llm_text text;
static char *system_text;
static uint32_t max_tokens; // 0: no limit

// The conversation: all its tokens.  The cache holds the first `rows` of them.
static llm_ids history;
static uint32_t rows;
static uint32_t turn_begin; // in `history`: where the turn under way began
static uint32_t prompt_tokens, reply_tokens;
static bool replying;   // the reply of the turn under way has begun
static bool reply_open; // what lies before turn_begin is a reply without its end
static const char *stop_reason;
static bool busy;         // a message is being dealt with
static uint32_t run_rows; // of the program under way
static dw_flow flow, run_flow;

// ---- Files -----------------------------------------------------------------------------

// A file of the model, terminated, to be freed.  NULL and length 0: there is none;
// NULL and another length: it could not be read, logged.
static char *read_file(const char *name, size_t *length) {
  uint32_t name_length = (uint32_t)strlen(name);
  int64_t size = dw_model_size(model.model, name, name_length);
  *length = 0;
  if (size == DW_NOTFOUND) return NULL;
  char *bytes = size >= 0 && size < INT32_MAX ? malloc((size_t)size + 1) : NULL;
  uint32_t got = 0;
  while (bytes && got < size) {
    int32_t more = dw_model_read(model.model, name, name_length, got, bytes + got, (uint32_t)size - got);
    if (more <= 0) break;
    got += (uint32_t)more;
  }
  *length = 1;
  if (!bytes || got < size) {
    if (size >= 0 && !bytes)
      dw_say(DW_SDK_ERROR, "%s: no memory for %lld bytes", name, (long long)size);
    else
      dw_failed(name);
    free(bytes);
    return NULL;
  }
  bytes[size] = 0;
  *length = (size_t)size;
  return bytes;
}

// The same, but the file must be there.
static char *read_needed(const char *name, size_t *length) {
  char *bytes = read_file(name, length);
  if (!bytes && *length == 0) dw_say(DW_SDK_ERROR, "the model has no %s", name);
  return bytes;
}

static bool say_error(const llm_error *error) {
  dw_say(DW_SDK_ERROR, "%s", error->text);
  return false;
}

static bool load_tokenizer(void) {
  size_t length;
  llm_error error;
  char *json = read_needed("tokenizer.json", &length);
  if (!json) return false;
  bool ok = llm_tokenizer_load(&tokenizer, json, length, &error);
  free(json);
  if (ok) dw_say(DW_SDK_DEBUG, "tokenizer: %u tokens", tokenizer.token_count);
  return ok || say_error(&error);
}

static bool load_config(void) {
  size_t length;
  llm_error error;
  char *json = read_needed("config.json", &length);
  if (!json) return false;
  bool ok = llm_config_load(&model.config, json, length, &error);
  free(json);
  if (!ok) return say_error(&error);
  json = read_file("generation_config.json", &length);
  if (!json) return length == 0;
  ok = llm_config_add_generation(&model.config, json, length, &error);
  free(json);
  return ok || say_error(&error);
}

// The token that begins every text, by tokenizer_config.json or else by the tokeniser.
static uint32_t find_bos(const char *tokenizer_config, size_t length) {
  char *name = tokenizer_config ? llm_json_text(tokenizer_config, length, "bos_token") : NULL;
  uint32_t bos = name ? llm_token(&tokenizer, name, strlen(name)) : LLM_NO_TOKEN;
  free(name);
  return bos != LLM_NO_TOKEN ? bos : tokenizer.bos;
}

static bool load_chat(void) {
  size_t length, config_length;
  llm_error error;
  char *config = read_file("tokenizer_config.json", &config_length);
  if (!config && config_length) return false;
  char *template_text = read_file("chat_template.jinja", &length);
  bool ok = template_text || length == 0;
  if (ok && !template_text && config) template_text = llm_json_text(config, config_length, "chat_template");
  if (ok && !template_text) {
    dw_say(DW_SDK_ERROR, "the model has no chat template: use mode=generate, which continues a text");
    ok = false;
  } else if (ok) {
    ok = llm_chat_detect(&chat, &tokenizer, template_text, find_bos(config, config_length), &error) ||
         say_error(&error);
  }
  free(template_text);
  free(config);
  if (ok) llm_config_add_stop(&model.config, chat.end);
  return ok;
}

// ---- Arguments ---------------------------------------------------------------------------

static bool bad_argument(const char *words) {
  dw_say(DW_SDK_ERROR, "%s", words);
  return false;
}

static bool read_mode(const char *arguments) {
  static const struct {
    const char *name;
    llm_mode mode;
  } modes[] = {{"chat", MODE_CHAT},
               {"generate", MODE_GENERATE},
               {"tokenize", MODE_TOKENIZE},
               {"tokenize-whole", MODE_TOKENIZE},
               {"logits", MODE_LOGITS}};
  char name[32] = "chat";
  dw_argument(arguments, '\n', "mode", name, sizeof name);
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
    if (strcmp(name, modes[i].name) == 0) {
      mode = modes[i].mode;
      return true;
    }
  return bad_argument("mode is one of chat, generate, tokenize, tokenize-whole, logits");
}

static bool read_stops(const char *arguments) {
  char stop[LLM_MAX_STOP_BYTES];
  for (uint32_t i = 0; dw_argument_nth(arguments, '\n', "stop", i, stop, sizeof stop); i++) {
    if (!stop[0]) return bad_argument("stop is an empty text");
    if (text.stop_count == LLM_MAX_STOP_STRINGS) return bad_argument("more than 8 stop texts");
    memcpy(text.stops[text.stop_count++], stop, sizeof stop);
  }
  return true;
}

static bool read_sampling(const char *arguments) {
  const llm_config *config = &model.config;
  double top_k, seed, most;
  bool ok =
      dw_argument_number(arguments, '\n', "temperature", config->do_sample ? config->temperature : 0, 0, 100,
                         &sampler.temperature) &&
      dw_argument_number(arguments, '\n', "top_p", config->do_sample ? config->top_p : 1, 0, 1,
                         &sampler.top_p) &&
      dw_argument_number(arguments, '\n', "top_k", config->do_sample ? config->top_k : 0, 0, 1e9, &top_k) &&
      dw_argument_number(arguments, '\n', "seed", -1, 0, 9007199254740992.0, &seed) &&
      dw_argument_number(arguments, '\n', "max_tokens", 0, 0, 1e9, &most);
  if (!ok)
    return bad_argument("temperature (0 to 100), top_p (0 to 1), top_k, seed or max_tokens is out of range");
  sampler.top_k = (uint32_t)top_k;
  max_tokens = (uint32_t)most;
  if (seed >= 0)
    sampler.state = (uint64_t)seed;
  else if (getentropy(&sampler.state, sizeof sampler.state) != 0)
    return bad_argument("there is no random source");
  if (sampler.temperature > 0) {
    sampler.candidates = malloc(config->vocabulary * sizeof *sampler.candidates);
    if (!sampler.candidates) return bad_argument("no memory to sample");
  }
  return true;
}

static bool read_sizes(const char *arguments) {
  uint32_t most = model.config.context;
  double context, chunk;
  if (!dw_argument_number(arguments, '\n', "context", most < DEFAULT_CONTEXT ? most : DEFAULT_CONTEXT, 1,
                          1u << 30, &context) ||
      !dw_argument_number(arguments, '\n', "chunk", DEFAULT_CHUNK, 1, 65536, &chunk))
    return bad_argument("context or chunk is out of range");
  if (context > most) {
    dw_say(DW_SDK_ERROR, "context=%.0f: the model was made for %u tokens", context, most);
    return false;
  }
  model.context = (uint32_t)context;
  model.chunk = (uint32_t)chunk < model.context ? (uint32_t)chunk : model.context;
  uint32_t rows_of_logits = MAX_LOGITS_BYTES / sizeof(float) / model.config.vocabulary;
  if (mode == MODE_LOGITS && model.chunk > rows_of_logits) model.chunk = rows_of_logits ? rows_of_logits : 1;
  return true;
}

static bool open_model(const char *arguments) {
  char kv[8] = "f16";
  dw_argument(arguments, '\n', "kv", kv, sizeof kv);
  bool single = strcmp(kv, "f32") == 0;
  if (!single && strcmp(kv, "f16") != 0) return bad_argument("kv is f16 or f32");
  if (!load_config() || !read_sizes(arguments) || !read_sampling(arguments) || !read_stops(arguments))
    return false;
  if (mode == MODE_CHAT && !load_chat()) return false;
  if (!llm_model_open(&model, single ? DW_F32 : DW_F16, mode == MODE_LOGITS)) return false;
  return llm_model_program(&model, mode == MODE_LOGITS ? LLM_HEAD_ALL : LLM_HEAD_LAST) != 0;
}

static bool open_all(const char *arguments) {
  char name[DW_MAX_NAME + 1] = "model";
  if (!read_mode(arguments)) return false;
  dw_argument(arguments, '\n', "model", name, sizeof name);
  int32_t handle = dw_model_open(name, (uint32_t)strlen(name));
  if (handle < 0) {
    dw_failed("the model");
    return false;
  }
  model.model = (dw_handle)handle;
  size_t room = strlen(arguments) + 1;
  system_text = malloc(room);
  if (!system_text) return bad_argument("no memory");
  if (!dw_argument(arguments, '\n', "system", system_text, room)) system_text[0] = 0;
  if (mode != MODE_LOGITS && !load_tokenizer()) return false;
  return mode == MODE_TOKENIZE || open_model(arguments);
}

DW_EXPORT(driftwood_open) int32_t driftwood_open(uint32_t length) {
  char *arguments = dw_inbox_text(length);
  bool ok = arguments && open_all(arguments);
  free(arguments);
  return ok ? 0 : DW_GUEST;
}

// ---- Messages ----------------------------------------------------------------------------

static void emit_ids(const llm_ids *ids) {
  char line[4096];
  size_t used = 0;
  line[used++] = '[';
  for (uint32_t i = 0; i < ids->count; i++) {
    used += (size_t)snprintf(line + used, sizeof line - used, i ? ",%u" : "%u", ids->ids[i]);
    if (used + 16 < sizeof line) continue;
    dw_emit(line, (uint32_t)used);
    used = 0;
  }
  line[used++] = ']';
  line[used++] = '\n';
  dw_emit(line, (uint32_t)used);
}

static bool tokenize(const char *message, uint32_t length) {
  llm_ids ids = {0};
  bool ok = llm_encode(&tokenizer, message, length, true, &ids);
  if (ok) emit_ids(&ids);
  llm_ids_free(&ids);
  return ok;
}

// What the cache holds beyond the first `count` tokens is forgotten.
static bool keep_history(uint32_t count) {
  dw_tensor_info info;
  if (history.count > count) history.count = count;
  if (dw_tensor_info_get(model.cache, &info) < 0) return false;
  rows = (uint32_t)info.rows;
  if (rows <= history.count) return true;
  rows = history.count;
  return dw_cache_truncate(model.cache, rows) >= 0;
}

// A turn that was cancelled before its reply began is forgotten; what came of a reply
// stays, and gets its end.
static bool begin_chat_turn(const char *message, uint32_t length) {
  if (replying)
    reply_open = true;
  else
    history.count = turn_begin;
  if (!keep_history(history.count)) return false;
  turn_begin = history.count;
  bool ok = true, first = history.count == 0;
  if (reply_open) ok = llm_chat_close_reply(&chat, &tokenizer, &history);
  if (first && chat.bos != LLM_NO_TOKEN) ok = llm_ids_add(&history, chat.bos);
  if (ok && first && system_text[0])
    ok = llm_chat_turn(&chat, &tokenizer, "system", system_text, strlen(system_text), &history);
  return ok && llm_chat_turn(&chat, &tokenizer, "user", message, length, &history) &&
         llm_chat_open_reply(&chat, &tokenizer, &history);
}

static bool begin_text(const char *message, uint32_t length) {
  turn_begin = 0;
  if (!keep_history(0)) return false;
  if (tokenizer.bos != LLM_NO_TOKEN && !llm_ids_add(&history, tokenizer.bos)) return false;
  return llm_encode(&tokenizer, message, length, true, &history);
}

static bool begin_logits(const char *message) {
  if (!keep_history(0)) return false;
  for (const char *at = message; *at;) {
    char *end;
    unsigned long id = strtoul(at, &end, 10);
    if (end == at || id >= LLM_NO_TOKEN)
      return bad_argument("a message in mode=logits is token ids such as \"1 2 3\"");
    if (!llm_ids_add(&history, (uint32_t)id)) return false;
    for (at = end; *at == ' ' || *at == ',' || *at == '\n' || *at == '\t';) at++;
  }
  if (history.count <= model.context) return true;
  dw_say(DW_SDK_ERROR, "%u tokens, the context has room for %u", history.count, model.context);
  return false;
}

static bool known_tokens(void) {
  for (uint32_t i = turn_begin; i < history.count; i++)
    if (history.ids[i] >= model.config.vocabulary) {
      dw_say(DW_SDK_ERROR, "token %u lies outside of the model's vocabulary of %u", history.ids[i],
             model.config.vocabulary);
      return false;
    }
  return true;
}

DW_EXPORT(driftwood_message) int32_t driftwood_message(uint32_t length) {
  char *message = dw_inbox_text(length);
  bool ok = message != NULL;
  if (ok && mode == MODE_TOKENIZE)
    ok = tokenize(message, length);
  else if (ok && mode == MODE_CHAT)
    ok = begin_chat_turn(message, length);
  else if (ok && mode == MODE_GENERATE)
    ok = begin_text(message, length);
  else if (ok)
    ok = begin_logits(message);
  free(message);
  flow.line = run_flow.line = 0;
  replying = false;
  busy = mode != MODE_TOKENIZE;
  return ok && (mode == MODE_TOKENIZE || known_tokens()) ? 0 : DW_GUEST;
}

// ---- Steps -------------------------------------------------------------------------------

// Runs the model over the history that the cache does not hold yet, a chunk a step.
static int32_t run_model(llm_head head, uint32_t count) {
  DW_FLOW_BEGIN(&run_flow);
  run_rows = count;
  llm_model_prepare(&model, history.ids + rows, count, rows);
  dw_handle program = llm_model_program(&model, head);
  if (!program) return DW_STEP_ERROR;
  DW_FLOW_RUN(&run_flow, program, &run_rows, 1);
  rows += run_rows;
  DW_FLOW_END(&run_flow);
}

static uint32_t next_rows(void) {
  uint32_t left = history.count - rows;
  return left < model.chunk ? left : model.chunk;
}

// Logits are of use only behind the last token of a prompt.
static llm_head next_head(void) {
  return rows + next_rows() == history.count ? LLM_HEAD_LAST : LLM_HEAD_NONE;
}

static int32_t step_logits(void) {
  DW_FLOW_BEGIN(&flow);
  while (rows < history.count) {
    DW_FLOW_CALL(&flow, run_model(LLM_HEAD_ALL, next_rows()));
    dw_emit(model.logits, (uint32_t)(run_rows * model.config.vocabulary * sizeof *model.logits));
  }
  DW_FLOW_END(&flow);
}

static void emit_ready(void) {
  if (text.ready_bytes) dw_emit(text.held, (uint32_t)text.ready_bytes);
  llm_text_take(&text);
}

// Takes the token that follows; sets stop_reason if the reply ends with it.
static bool take_token(void) {
  uint32_t token = llm_sample(&sampler, model.logits, model.config.vocabulary), length;
  replying = true;
  if (llm_config_is_stop(&model.config, token)) {
    stop_reason = "eos";
    return true;
  }
  const char *bytes = llm_token_bytes(&tokenizer, token, &length);
  if (llm_token_is_special(&tokenizer, token)) length = 0;
  if (!llm_ids_add(&history, token) || !llm_text_add(&text, bytes, length)) return bad_argument("no memory");
  reply_tokens++;
  emit_ready();
  if (text.stopped)
    stop_reason = "string";
  else if (max_tokens && reply_tokens == max_tokens)
    stop_reason = "length";
  else if (history.count >= model.context)
    stop_reason = "context";
  return true;
}

static void begin_reply(void) {
  prompt_tokens = history.count - rows;
  reply_tokens = 0;
  stop_reason = NULL;
  llm_text_begin(&text);
  if (history.count < model.context && prompt_tokens) return;
  stop_reason = "context";
  if (prompt_tokens)
    dw_say(DW_SDK_WARNING,
           "the prompt would fill the context of %u tokens: begin a new conversation or give it more",
           model.context);
  else
    dw_say(DW_SDK_WARNING, "there is nothing to continue");
  history.count = turn_begin;
}

static bool end_reply(void) {
  if (!text.stopped && !llm_text_end(&text)) return bad_argument("no memory");
  emit_ready();
  dw_say(DW_SDK_INFO, "reply prompt_tokens=%u tokens=%u stop=%s", prompt_tokens, reply_tokens, stop_reason);
  return true;
}

static int32_t step_reply(void) {
  DW_FLOW_BEGIN(&flow);
  begin_reply();
  while (!stop_reason) {
    while (rows < history.count) {
      DW_FLOW_CALL(&flow, run_model(next_head(), next_rows()));
      if (reply_tokens == 0)
        dw_say(DW_SDK_DEBUG, "prefill %u/%u", rows + prompt_tokens - history.count, prompt_tokens);
    }
    if (!take_token()) return DW_STEP_ERROR;
  }
  if (!end_reply()) return DW_STEP_ERROR;
  DW_FLOW_END(&flow);
}

DW_EXPORT(driftwood_step) int32_t driftwood_step(void) {
  if (!busy) return DW_STEP_DONE; // after open, and after a message that was answered at once
  int32_t result = mode == MODE_LOGITS ? step_logits() : step_reply();
  if (result == DW_STEP_DONE) busy = false;
  return result;
}
