/* The few calls of SentencePiece that we need, as plain C.
 *
 * Debian's libsentencepiece carries a protobuf-lite of its own under protobuf's names, and its
 * header defines absl::string_view anew. So its C++ never meets ours: bridge.cc, which alone knows
 * it, is a shared object of its own, opened so that it and its libraries find their own symbols
 * first (packer/sentencepiece/model.cc). Nothing but these functions crosses the border, and no
 * exception does. */
#ifndef NAVIT_PACKER_SENTENCEPIECE_BRIDGE_H_
#define NAVIT_PACKER_SENTENCEPIECE_BRIDGE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Receives the bytes of a text: an error's words, or a trained model. */
typedef void (*navit_sp_text_fn)(void* context, const char* bytes, size_t size);
/* Receives one token id. */
typedef void (*navit_sp_id_fn)(void* context, int32_t id);
/* The next sentence to learn from, which stays valid until the next call; NULL after the last. */
typedef const char* (*navit_sp_next_fn)(void* context, size_t* size);

/* A model from the bytes of its file; NULL: `error` has got the reason. */
void* navit_sp_load(const char* bytes, size_t size, navit_sp_text_fn error, void* context);
void navit_sp_free(void* model);
/* Number of pieces; ids of the begin and end tokens, -1 where the model has none. */
int32_t navit_sp_pieces(const void* model);
int32_t navit_sp_begin(const void* model);
int32_t navit_sp_end(const void* model);
/* The ids of a text, in order; 0: done. Thread-safe. */
int navit_sp_encode(const void* model, const char* text, size_t size, navit_sp_id_fn id,
                    void* context);

/* Trains with `flags` as spm_train takes them ("--vocab_size=8000 ..."). 0: `model` has got the
 * bytes of the model file; otherwise `error` has got the reason. */
int navit_sp_train(const char* flags, navit_sp_next_fn next, navit_sp_text_fn model,
                   navit_sp_text_fn error, void* context);

#ifdef __cplusplus
}
#endif

#endif /* NAVIT_PACKER_SENTENCEPIECE_BRIDGE_H_ */
