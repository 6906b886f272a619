// chat.h: how a conversation is written as tokens.
#ifndef LLM_CHAT_H
#define LLM_CHAT_H

#include "tokenizer.h"

typedef enum llm_chat_format {
  LLM_CHAT_NONE,
  LLM_CHAT_LLAMA3,             // <|start_header_id|>ROLE<|end_header_id|>\n\nTEXT<|eot_id|>
  LLM_CHAT_CHATML              // <|im_start|>ROLE\nTEXT<|im_end|>\n
} llm_chat_format;

typedef struct llm_chat {
  llm_chat_format format;
  uint32_t begin, middle, end; // tokens around a role and behind a text
  uint32_t bos;                // before everything, or LLM_NO_TOKEN
} llm_chat;

// Recognises the format by the markers in the model's chat template.  `bos` is the
// model's token, used if the template mentions it.
bool llm_chat_detect(llm_chat *chat, const llm_tokenizer *tokenizer, const char *chat_template, uint32_t bos,
                     llm_error *error);
// Each appends tokens; false: no memory.  Text is only text here: markers that a user
// types are not recognised.
bool llm_chat_turn(const llm_chat *chat, const llm_tokenizer *tokenizer, const char *role, const char *text,
                   size_t length, llm_ids *ids);
bool llm_chat_open_reply(const llm_chat *chat, const llm_tokenizer *tokenizer, llm_ids *ids);
bool llm_chat_close_reply(const llm_chat *chat, const llm_tokenizer *tokenizer, llm_ids *ids);

#endif
