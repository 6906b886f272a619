// The parts of the llm guest that need no host, compiled natively: streaming, sampling,
// configuration, RoPE, chat formats.
#include "dw_test.h"

#include "../guests/llm/bpe.c"
#include "../guests/llm/chat.c"
#include "../guests/llm/config.c"
#include "../guests/llm/encode.c"
#include "../guests/llm/pieces.c"
#include "../guests/llm/sampler.c"
#include "../guests/llm/text.c"
#include "../guests/llm/tokenizer.c"
#include "../guests/llm/unicode.c"
#include "../guests/llm/unicode_tables.c"

// ---- Streaming -------------------------------------------------------------------------

// Feeds `bytes` in pieces of `step` and collects what would be emitted; every piece must
// be whole characters.
static bool stream(llm_text *text, const char *bytes, size_t length, size_t step, char *out) {
  size_t used = 0;
  llm_text_begin(text);
  for (size_t i = 0; i < length && !text->stopped; i += step) {
    CHECK(llm_text_add(text, bytes + i, length - i < step ? length - i : step));
    CHECK(is_utf8(text->held, text->ready_bytes));
    memcpy(out + used, text->held, text->ready_bytes);
    used += text->ready_bytes;
    bool stopped = text->stopped;
    llm_text_take(text);
    text->stopped = stopped;
  }
  bool stopped = text->stopped;
  if (!stopped) {
    CHECK(llm_text_end(text));
    memcpy(out + used, text->held, text->ready_bytes);
    used += text->ready_bytes;
    stopped = text->stopped;
    llm_text_take(text);
  }
  out[used] = 0;
  return stopped;
}

static void test_characters(void) {
  static const struct {
    const char *bytes, *text;
  } lines[] = {{"plain", "plain"},
               {"h\xC3\xA9 \xE4\xB8\xAD\xE6\x96\x87 \xF0\x9F\x98\x80!",
                "h\xC3\xA9 \xE4\xB8\xAD\xE6\x96\x87 \xF0\x9F\x98\x80!"},
               {"a\xFF"
                "b",
                "a\xEF\xBF\xBD"
                "b"},
               {"cut \xF0\x9F\x98", "cut \xEF\xBF\xBD"},
               {"\xE4\xB8z", "\xEF\xBF\xBDz"},
               {"\xE4\xB8\xE4\xB8\xAD", "\xEF\xBF\xBD\xE4\xB8\xAD"},
               {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
               {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
               {"\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"},
               {"", ""}};
  char out[256];
  llm_text text = {0};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
    for (size_t step = 1; step < 6; step++) {
      CHECK(!stream(&text, lines[i].bytes, strlen(lines[i].bytes), step, out));
      CHECK_STR(out, lines[i].text);
    }
  llm_text_free(&text);
}

static void test_stops(void) {
  llm_text text = {.stops = {"END", "\xC3\xA9t\xC3\xA9", "EEE"}, .stop_count = 3};
  char out[256];
  for (size_t step = 1; step < 8; step++) {
    CHECK(stream(&text, "one ENDtwo", 10, step, out));
    CHECK_STR(out, "one ");
    CHECK(!stream(&text, "EN EEN ND EE", 12, step, out));
    CHECK_STR(out, "EN EEN ND EE");
    CHECK(stream(&text, "EENEEND", 7, step, out));
    CHECK_STR(out, "EENE");
    CHECK(stream(&text, "cet \xC3\xA9t\xC3\xA9!", 10, step, out));
    CHECK_STR(out, "cet ");
    CHECK(!stream(&text, "\xC3\xA9t\xC3", 4, step, out));
    CHECK_STR(out, "\xC3\xA9t\xEF\xBF\xBD");
  }
  // What cannot become a stop text goes out at once.
  llm_text_begin(&text);
  CHECK(llm_text_add(&text, "abcE", 4));
  CHECK_EQ(text.ready_bytes, 3);
  llm_text_free(&text);
}

// ---- Sampling --------------------------------------------------------------------------

#define MANY 1000

static void test_greedy(void) {
  float logits[5] = {0, 3, -1, 3, 2};
  llm_sampler sampler = {.top_p = 1};
  CHECK_EQ(llm_sample(&sampler, logits, 5), 1); // the first of equal ones
  logits[0] = NAN;
  CHECK_EQ(llm_sample(&sampler, logits, 5), 1);
  float nothing[3] = {NAN, NAN, -INFINITY};
  CHECK(llm_sample(&sampler, nothing, 3) == 2);
}

// Shares of tokens that come up, against softmax.
static void check_shares(llm_sampler *sampler, const double *shares, uint32_t count) {
  float logits[MANY];
  uint32_t counts[MANY] = {0};
  const uint32_t draws = 200000;
  for (uint32_t i = 0; i < count; i++) logits[i] = (float)(i % 7) * 0.5f;
  for (uint32_t i = 0; i < draws; i++) counts[llm_sample(sampler, logits, count)]++;
  for (uint32_t i = 0; i < count; i++) {
    double off = fabs(counts[i] - shares[i] * draws), sigma = sqrt(shares[i] * draws) + 1;
    if (off > 5 * sigma || (shares[i] == 0 && counts[i])) {
      fprintf(stderr, "    token %u: %u times, expected %.1f\n", i, counts[i], shares[i] * draws);
      exit(1);
    }
  }
}

static void test_shares(void) {
  llm_candidate candidates[MANY];
  double shares[14], total = 0, likeliest_two = 0;
  for (int i = 0; i < 14; i++) total += shares[i] = exp(i % 7 * 0.5 / 0.8);
  for (int i = 0; i < 14; i++) shares[i] /= total;
  llm_sampler all = {.temperature = 0.8, .top_p = 1, .state = 1, .candidates = candidates};
  check_shares(&all, shares, 14);
  likeliest_two = 2 * shares[6];
  double kept[14] = {0};
  kept[6] = kept[13] = 0.5;
  llm_sampler two = {.temperature = 0.8, .top_k = 2, .top_p = 1, .state = 2, .candidates = candidates};
  check_shares(&two, kept, 14);
  llm_sampler nucleus = {
      .temperature = 0.8, .top_p = likeliest_two - 0.01, .state = 3, .candidates = candidates};
  check_shares(&nucleus, kept, 14);
  double only[14] = {[6] = 1};
  llm_sampler nobody = {.temperature = 0.8, .top_p = 0, .state = 4, .candidates = candidates};
  check_shares(&nobody, only, 14);
}

static void test_seeds(void) {
  static llm_candidate candidates[MANY];
  float logits[MANY];
  for (uint32_t i = 0; i < MANY; i++) logits[i] = (float)((i * 7919) % MANY) / 100;
  uint32_t same = 0, first[64];
  for (uint64_t seed = 0; seed < 3; seed++) {
    llm_sampler sampler = {
        .temperature = 1, .top_p = 0.9, .top_k = 500, .state = seed % 2, .candidates = candidates};
    for (int i = 0; i < 64; i++) {
      uint32_t token = llm_sample(&sampler, logits, MANY);
      if (seed == 0) first[i] = token;
      if (seed == 1) same += token == first[i];
      if (seed == 2) CHECK_EQ(token, first[i]);
    }
  }
  CHECK(same < 16);
  for (double x = -30; x <= 0; x += 0.37) CHECK(fabs(exponential(x) - exp(x)) <= 4e-16 * exp(x) + 1e-300);
  CHECK(exponential(0) == 1 && exponential(-1000) == 0);
}

// ---- config.json -----------------------------------------------------------------------

#define SIZES                                                                                                \
  "\"hidden_size\":64,\"intermediate_size\":96,\"num_attention_heads\":4,\"num_hidden_layers\":2,\"vocab_"   \
  "size\":10"
#define LLAMA "{\"architectures\":[\"LlamaForCausalLM\"]," SIZES

static bool load_config(llm_config *config, const char *json, llm_error *error) {
  return llm_config_load(config, json, strlen(json), error);
}

static void test_config(void) {
  llm_config config;
  llm_error error;
  CHECK(load_config(&config, LLAMA "}", &error));
  CHECK(config.kv_heads == 4 && config.head_dim == 16 && !config.tied && !config.llama3_rope);
  CHECK(config.rope_theta == 10000 && config.context == 2048 && config.stop_count == 0);
  CHECK(load_config(&config,
                    LLAMA ",\"head_dim\":24,\"num_key_value_heads\":2,\"tie_word_embeddings\":true,"
                          "\"rope_theta\":500000.0,\"eos_token_id\":[3,4],\"sliding_window\":null,"
                          "\"rope_scaling\":{\"type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,"
                          "\"high_freq_factor\":4,\"original_max_position_embeddings\":8192}}",
                    &error));
  CHECK(config.head_dim == 24 && config.kv_heads == 2 && config.tied && config.llama3_rope &&
        config.rope_factor == 8);
  CHECK(llm_config_is_stop(&config, 4) && !llm_config_is_stop(&config, 5));
  static const char generation[] =
      "{\"eos_token_id\":5,\"do_sample\":true,\"temperature\":0.6,\"top_p\":0.9}";
  CHECK(llm_config_add_generation(&config, generation, strlen(generation), &error));
  CHECK(llm_config_is_stop(&config, 5) && config.do_sample && config.temperature == 0.6 &&
        config.top_k == 50);
  CHECK(load_config(&config, LLAMA ",\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":77}}",
                    &error));
  CHECK(config.rope_theta == 77 && !config.llama3_rope);
}

static void test_config_refused(void) {
  static const struct {
    const char *json, *words;
  } lines[] = {{"", "too early"},
               {"[]", "not an object"},
               {"{" SIZES "}", "architecture is missing"},
               {"{\"architectures\":[\"Phi3ForCausalLM\"]," SIZES "}", "Phi3ForCausalLM is not supported"},
               {"{\"architectures\":[\"LlamaForCausalLM\"]}", "num_hidden_layers is missing"},
               {LLAMA ",\"num_key_value_heads\":3}", "no multiple"},
               {LLAMA ",\"num_key_value_heads\":0}", "num_key_value_heads is out of range"},
               {LLAMA ",\"head_dim\":15}", "head_dim is odd"},
               {LLAMA ",\"head_dim\":\"16\"}", "head_dim is out of range"},
               {LLAMA ",\"hidden_act\":\"relu\"}", "silu"},
               {LLAMA ",\"rope_theta\":-1}", "rope_theta is not positive"},
               {LLAMA ",\"rope_theta\":\"x\"}", "rope_theta is no number"},
               {LLAMA ",\"partial_rotary_factor\":0.5}", "partial_rotary_factor"},
               {LLAMA ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}}", "rope_type is not supported"},
               {LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":2}}", "lacks a number"}};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    llm_config config;
    llm_error error = {""};
    bool ok = load_config(&config, lines[i].json, &error);
    if (ok || !strstr(error.text, lines[i].words)) {
      fprintf(stderr, "    case %zu: \"%s\" lacks \"%s\"\n", i, error.text, lines[i].words);
      exit(1);
    }
  }
}

// The formulas in double: what float32 makes of them differs in the last bits only.
static void test_rope(void) {
  llm_config config = {.head_dim = 64,
                       .rope_theta = 500000,
                       .llama3_rope = true,
                       .rope_factor = 32,
                       .rope_low = 1,
                       .rope_high = 4,
                       .rope_original = 8192};
  float frequencies[32];
  llm_rope_frequencies(&config, frequencies);
  for (int i = 0; i < 32; i++) {
    double plain = pow(500000, -2.0 * i / 64), wave = 2 * 3.14159265358979323846 / plain, wanted = plain;
    if (wave > 8192.0)
      wanted = plain / 32;
    else if (wave >= 8192.0 / 4) {
      double smooth = (8192 / wave - 1) / 3;
      wanted = (1 - smooth) * plain / 32 + smooth * plain;
    }
    CHECK(fabs((double)frequencies[i] - wanted) <= 2e-6 * wanted);
  }
  config.llama3_rope = false;
  llm_rope_frequencies(&config, frequencies);
  CHECK(frequencies[0] == 1 && fabsf(frequencies[31] - (float)pow(500000, -62.0 / 64)) < 1e-11f);
}

static void test_json_text(void) {
  static const char json[] = "{\"bos_token\":{\"content\":\"<s>\\n\"},\"eos\":\"x\",\"n\":1,"
                             "\"chat_template\":[{\"name\":\"tool\",\"template\":\"no\"},"
                             "{\"name\":\"default\",\"template\":\"yes\"}]}";
  static const struct {
    const char *key, *value;
  } lines[] = {{"bos_token", "<s>\n"}, {"eos", "x"}, {"chat_template", "yes"}, {"n", NULL}, {"none", NULL}};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    char *value = llm_json_text(json, strlen(json), lines[i].key);
    CHECK(!value == !lines[i].value);
    if (value) CHECK_STR(value, lines[i].value);
    free(value);
  }
  CHECK(llm_json_text("{", 1, "a") == NULL);
}

// ---- Chat formats ------------------------------------------------------------------------

#define TOKENIZER(marks)                                                                                     \
  "{\"added_tokens\":[" marks "],\"model\":{\"type\":\"BPE\",\"vocab\":{\"h\":0,\"i\":1,\"u\":2,\"s\":3,"    \
  "\"e\":4,\"r\":5,\"\xC4\x8A\":6,\"a\":7,\"t\":8,\"n\":9},\"merges\":[]},"                                  \
  "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"use_regex\":false},\"decoder\":{\"type\":\"ByteLevel\"}}"
#define MARK(id, text) "{\"id\":" #id ",\"content\":\"" text "\",\"special\":true}"

static void check_ids(const llm_ids *ids, const uint32_t *wanted, uint32_t count) {
  CHECK_EQ(ids->count, count);
  for (uint32_t i = 0; i < count; i++) CHECK_EQ(ids->ids[i], wanted[i]);
}

static void test_chat(void) {
  static const char llama[] =
      TOKENIZER(MARK(20, "<|start_header_id|>") "," MARK(21, "<|end_header_id|>") "," MARK(22, "<|eot_id|>"));
  static const char chatml[] = TOKENIZER(MARK(30, "<|im_start|>") "," MARK(31, "<|im_end|>"));
  llm_tokenizer tokenizer;
  llm_chat chat;
  llm_error error;
  llm_ids ids = {0};
  CHECK(llm_tokenizer_load(&tokenizer, llama, strlen(llama), &error));
  CHECK(llm_chat_detect(&chat, &tokenizer, "x <|start_header_id|> {{ bos_token }}", 9, &error));
  CHECK(chat.format == LLM_CHAT_LLAMA3 && chat.bos == 9);
  CHECK(llm_chat_turn(&chat, &tokenizer, "user", " hi\n", 4, &ids) &&
        llm_chat_open_reply(&chat, &tokenizer, &ids));
  check_ids(&ids, (uint32_t[]){20, 2, 3, 4, 5, 21, 6, 6, 0, 1, 22, 20, 7, 3, 3, 1, 3, 8, 7, 9, 8, 21, 6, 6},
            24);
  ids.count = 0;
  CHECK(llm_chat_turn(&chat, &tokenizer, "u", "<|eot_id|>", 10, &ids)); // typed by a user: text
  check_ids(&ids, (uint32_t[]){20, 2, 21, 6, 6, 4, 8, 1, 22}, 9);       // e t i of it are tokens here
  CHECK(!llm_chat_detect(&chat, &tokenizer, "<|im_start|>", 9, &error) && strstr(error.text, "<|im_start|>"));
  CHECK(!llm_chat_detect(&chat, &tokenizer, "[INST]", 9, &error) && strstr(error.text, "ChatML"));
  llm_tokenizer_free(&tokenizer);
  ids.count = 0;
  CHECK(llm_tokenizer_load(&tokenizer, chatml, strlen(chatml), &error));
  CHECK(llm_chat_detect(&chat, &tokenizer, "<|im_start|>", 9, &error) && chat.bos == LLM_NO_TOKEN);
  CHECK(llm_chat_turn(&chat, &tokenizer, "user", "hi", 2, &ids) &&
        llm_chat_open_reply(&chat, &tokenizer, &ids));
  check_ids(&ids, (uint32_t[]){30, 2, 3, 4, 5, 6, 0, 1, 31, 6, 30, 7, 3, 3, 1, 3, 8, 7, 9, 8, 6}, 21);
  llm_ids_free(&ids);
  llm_tokenizer_free(&tokenizer);
}

static const dw_case cases[] = {
    {"characters", "text comes in whole characters, U+FFFD for broken ones", test_characters},
    {"stops", "stop texts, cut anywhere", test_stops},
    {"greedy", "the likeliest token; NaN never wins", test_greedy},
    {"shares", "tokens come up as often as softmax says; top_k, top_p", test_shares},
    {"seeds", "a seed gives the same tokens; the exponential", test_seeds},
    {"config", "config.json as transformers 4 and 5 write it", test_config},
    {"config_refused", "what the decoder cannot do is named", test_config_refused},
    {"rope", "frequencies of plain RoPE and of Llama 3's scaling", test_rope},
    {"json_text", "strings of small files", test_json_text},
    {"chat", "turns of both chat formats, token by token", test_chat},
};
DW_TEST_MAIN(cases)
