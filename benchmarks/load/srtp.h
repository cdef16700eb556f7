/* SRTP with AES-GCM (RFC 7714) on OpenSSL, in the least code that is correct: no replay window, session keys given.
 *
 * The few functions of libcrypto that are needed are declared here, so that its shared library is enough and its
 * development package need not be installed.
 */
#ifndef CONSILIUM_SRTP_H
#define CONSILIUM_SRTP_H

#include <stdint.h>
#include <string.h>

typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_cipher_st EVP_CIPHER;
EVP_CIPHER_CTX *EVP_CIPHER_CTX_new(void);
void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *ctx);
const EVP_CIPHER *EVP_aes_128_gcm(void);
const EVP_CIPHER *EVP_aes_256_gcm(void);
int EVP_CipherInit_ex(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, void *engine, const unsigned char *key,
                      const unsigned char *iv, int seal);
int EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *out_length, const unsigned char *in, int in_length);
int EVP_CipherFinal_ex(EVP_CIPHER_CTX *ctx, unsigned char *out, int *out_length);
int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *ctx, int type, int argument, void *pointer);

#define GCM_GET_TAG 0x10
#define GCM_SET_TAG 0x11
#define TAG 16
#define SALT 12

/* One direction of one transport. */
struct gcm {
    EVP_CIPHER_CTX *ctx;
    uint8_t salt[SALT];
};

static int gcm_init(struct gcm *gcm, const uint8_t *key, int key_length, const uint8_t *salt, int seal) {
    memcpy(gcm->salt, salt, SALT);
    gcm->ctx = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *cipher = key_length == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
    return gcm->ctx && EVP_CipherInit_ex(gcm->ctx, cipher, 0, key, 0, seal) ? 0 : -1;
}

static inline uint16_t read16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }

static inline uint32_t read32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void write16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void write32(uint8_t *at, uint32_t value) {
    write16(at, (uint16_t)(value >> 16));
    write16(at + 2, (uint16_t)value);
}

/* Bytes of the RTP header with CSRCs and extension, or -1 where `length` is too short for them. */
static int rtp_header(const uint8_t *packet, int length) {
    if (length < 12 || packet[0] >> 6 != 2) return -1;
    int at = 12 + 4 * (packet[0] & 15);
    if (packet[0] & 16) {
        if (length < at + 4) return -1;
        at += 4 + 4 * read16(packet + at + 2);
    }
    return at <= length ? at : -1;
}

static void gcm_iv(const struct gcm *gcm, const uint8_t *packet, uint32_t roc, uint8_t *iv) {
    iv[0] = iv[1] = 0;
    memcpy(iv + 2, packet + 8, 4);
    write32(iv + 6, roc);
    memcpy(iv + 10, packet + 2, 2);
    for (int i = 0; i < SALT; i++) iv[i] ^= gcm->salt[i];
}

/* Seals the payload `in` of `length` bytes behind the `header` bytes that stand at `packet` already.
 * Returns the length of the whole packet, or -1. `packet` has room for the tag. */
static int gcm_seal(struct gcm *gcm, uint8_t *packet, int header, const uint8_t *in, int length, uint32_t roc) {
    uint8_t iv[SALT];
    int done;
    gcm_iv(gcm, packet, roc, iv);
    if (!EVP_CipherInit_ex(gcm->ctx, 0, 0, 0, iv, -1) || !EVP_CipherUpdate(gcm->ctx, 0, &done, packet, header) ||
        !EVP_CipherUpdate(gcm->ctx, packet + header, &done, in, length) ||
        !EVP_CipherFinal_ex(gcm->ctx, packet + header + length, &done) ||
        !EVP_CIPHER_CTX_ctrl(gcm->ctx, GCM_GET_TAG, TAG, packet + header + length))
        return -1;
    return header + length + TAG;
}

/* Opens `packet` in place. Returns the payload's length, or -1 where it is not authentic. */
static inline int gcm_open(struct gcm *gcm, uint8_t *packet, int header, int length, uint32_t roc) {
    uint8_t iv[SALT];
    int done, body = length - header - TAG;
    if (body < 0) return -1;
    gcm_iv(gcm, packet, roc, iv);
    if (!EVP_CipherInit_ex(gcm->ctx, 0, 0, 0, iv, -1) || !EVP_CipherUpdate(gcm->ctx, 0, &done, packet, header) ||
        !EVP_CipherUpdate(gcm->ctx, packet + header, &done, packet + header, body) ||
        !EVP_CIPHER_CTX_ctrl(gcm->ctx, GCM_SET_TAG, TAG, packet + header + body) ||
        !EVP_CipherFinal_ex(gcm->ctx, packet + header + body, &done))
        return -1;
    return body;
}

/* The roll-over counter that goes with `sequence`, and the new highest sequence number (RFC 3711, 3.3.1). */
struct rollover {
    int started;
    uint16_t highest;
    uint32_t roc;
};

static uint32_t rollover_of(struct rollover *state, uint16_t sequence) {
    if (!state->started) {
        state->started = 1;
        state->highest = sequence;
        return state->roc;
    }
    int16_t ahead = (int16_t)(sequence - state->highest);
    if (ahead <= 0) return state->roc - (sequence > state->highest);
    if (sequence < state->highest) state->roc++;
    state->highest = sequence;
    return state->roc;
}

#endif
