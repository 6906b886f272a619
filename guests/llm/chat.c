#include "chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool find_token(const llm_tokenizer *tokenizer, const char *text, uint32_t *id, llm_error *error) {
  *id = llm_token(tokenizer, text, strlen(text));
  return *id != LLM_NO_TOKEN ||
         llm_fail(error, "the chat template uses %s, which the tokeniser does not know", text);
}

bool llm_chat_detect(llm_chat *chat, const llm_tokenizer *tokenizer, const char *chat_template, uint32_t bos,
                     llm_error *error) {
  *chat = (llm_chat){.middle = LLM_NO_TOKEN, .bos = LLM_NO_TOKEN};
  if (strstr(chat_template, "bos_token") || strstr(chat_template, "<|begin_of_text|>")) chat->bos = bos;
  if (strstr(chat_template, "<|start_header_id|>")) {
    chat->format = LLM_CHAT_LLAMA3;
    return find_token(tokenizer, "<|start_header_id|>", &chat->begin, error) &&
           find_token(tokenizer, "<|end_header_id|>", &chat->middle, error) &&
           find_token(tokenizer, "<|eot_id|>", &chat->end, error);
  }
  if (strstr(chat_template, "<|im_start|>")) {
    chat->format = LLM_CHAT_CHATML;
    return find_token(tokenizer, "<|im_start|>", &chat->begin, error) &&
           find_token(tokenizer, "<|im_end|>", &chat->end, error);
  }
  return llm_fail(error,
                  "the model's chat template is neither that of Llama 3 (<|start_header_id|>) nor ChatML "
                  "(<|im_start|>); mode=generate continues a text without one");
}

static bool add_text(const llm_tokenizer *tokenizer, const char *text, llm_ids *ids) {
  return llm_encode(tokenizer, text, strlen(text), false, ids);
}

// What stands before the text of a turn, but for the characters that are cut into
// pieces together with it.
static bool begin_turn(const llm_chat *chat, const llm_tokenizer *tokenizer, const char *role, llm_ids *ids) {
  if (!llm_ids_add(ids, chat->begin)) return false;
  if (chat->format == LLM_CHAT_CHATML) return true;
  return add_text(tokenizer, role, ids) && llm_ids_add(ids, chat->middle);
}

static bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

bool llm_chat_turn(const llm_chat *chat, const llm_tokenizer *tokenizer, const char *role, const char *text,
                   size_t length, llm_ids *ids) {
  if (chat->format == LLM_CHAT_LLAMA3) { // its template trims
    for (; length && is_blank(*text); length--) text++;
    while (length && is_blank(text[length - 1])) length--;
  }
  const char *lead = chat->format == LLM_CHAT_CHATML ? role : "\n";
  size_t lead_bytes = strlen(lead);
  char *joined = malloc(lead_bytes + 1 + length);
  if (!joined) return false;
  memcpy(joined, lead, lead_bytes);
  joined[lead_bytes] = '\n';
  memcpy(joined + lead_bytes + 1, text, length);
  bool ok = begin_turn(chat, tokenizer, role, ids) &&
            llm_encode(tokenizer, joined, lead_bytes + 1 + length, false, ids) &&
            llm_chat_close_reply(chat, tokenizer, ids);
  free(joined);
  return ok;
}

bool llm_chat_open_reply(const llm_chat *chat, const llm_tokenizer *tokenizer, llm_ids *ids) {
  return begin_turn(chat, tokenizer, "assistant", ids) &&
         add_text(tokenizer, chat->format == LLM_CHAT_CHATML ? "assistant\n" : "\n\n", ids);
}

bool llm_chat_close_reply(const llm_chat *chat, const llm_tokenizer *tokenizer, llm_ids *ids) {
  return llm_ids_add(ids, chat->end) && (chat->format != LLM_CHAT_CHATML || add_text(tokenizer, "\n", ids));
}
