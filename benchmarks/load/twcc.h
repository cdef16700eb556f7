/* Transport-wide congestion control feedback of a viewer (draft-holmer-rmcat-transport-wide-cc-extensions-01), sealed
 * as SRTCP with AES-GCM (RFC 7714, section 9). What browsers do: without it a server that paces by feedback would be
 * measured in a state that no viewer ever puts it in.
 */
#ifndef CONSILIUM_TWCC_H
#define CONSILIUM_TWCC_H

#include "srtp.h"

#define WINDOW 224      /* packets that one message is about, at most */
#define EVERY 50000000u /* ns between messages */
#define NEVER INT64_MIN

struct twcc {
    int id; /* of the header extension; 0: none was negotiated */
    struct gcm seal;
    uint32_t sender, index;
    uint8_t count;
    int started, pending; /* pending: one past the last offset that came */
    uint16_t base;
    uint64_t told;
    int64_t arrivals[WINDOW]; /* ticks of 250 us, or NEVER */
};

/* The value of extension `id` where it has two bytes (RFC 8285, both forms), or -1. */
static int twcc_number(const uint8_t *packet, int header, int id) {
    if (!(packet[0] & 16)) return -1;
    int at = 12 + 4 * (packet[0] & 15), profile = read16(packet + at);
    for (at += 4; at < header;) {
        int found, size;
        if (packet[at] == 0) {
            at++;
            continue;
        }
        if (profile == 0xBEDE) {
            found = packet[at] >> 4;
            size = (packet[at] & 15) + 1;
            at++;
        } else {
            if (at + 2 > header) return -1;
            found = packet[at];
            size = packet[at + 1];
            at += 2;
        }
        if (at + size > header) return -1;
        if (found == id) return size == 2 ? read16(packet + at) : -1;
        at += size;
    }
    return -1;
}

static void twcc_clear(struct twcc *twcc) {
    for (int i = 0; i < WINDOW; i++) twcc->arrivals[i] = NEVER;
    twcc->pending = 0;
}

/* Notes an arrival. Returns 1 where the window is full: send what there is and note it again. */
static int twcc_note(struct twcc *twcc, uint16_t number, uint64_t arrival_ns) {
    if (!twcc->started) {
        twcc->started = 1;
        twcc->base = number;
        twcc_clear(twcc);
    }
    int offset = (int16_t)(number - twcc->base);
    if (offset < 0) return 0; /* somebody was told that it is missing; it stays so */
    if (offset >= WINDOW) {
        if (twcc->pending) return 1;
        twcc->base = number;
        offset = 0;
    }
    twcc->arrivals[offset] = (int64_t)(arrival_ns / 250000);
    if (offset >= twcc->pending) twcc->pending = offset + 1;
    return 0;
}

/* Writes the message about all that is pending, sealed, and begins anew. Returns its length; 0 where nothing is. */
static int twcc_message(struct twcc *twcc, uint32_t media, uint8_t *out) {
    uint8_t plain[20 + 2 * (WINDOW / 7 + 1) + 2 * WINDOW + 4];
    int count = twcc->pending, at = 20;
    if (!count) return 0;
    int64_t reference = -1;
    for (int i = 0; i < count && reference < 0; i++)
        if (twcc->arrivals[i] != NEVER) reference = twcc->arrivals[i] / 256;
    int64_t last = reference * 256;
    uint8_t symbols[WINDOW + 7] = {0};
    int deltas = 20 + 2 * ((count + 6) / 7);
    for (int i = 0; i < count; i++) {
        if (twcc->arrivals[i] == NEVER) continue;
        int64_t step = twcc->arrivals[i] - last;
        if (step < INT16_MIN || step > INT16_MAX) continue; /* eight seconds apart: told as missing */
        last = twcc->arrivals[i];
        symbols[i] = step >= 0 && step <= 255 ? 1 : 2;
        if (symbols[i] == 1)
            plain[deltas++] = (uint8_t)step;
        else {
            write16(plain + deltas, (uint16_t)(int16_t)step);
            deltas += 2;
        }
    }
    for (int i = 0; i < count; i += 7, at += 2) {
        uint16_t vector = 0xC000;
        for (int s = 0; s < 7; s++) vector |= (uint16_t)(symbols[i + s] << (12 - 2 * s));
        write16(plain + at, vector);
    }
    int padding = -deltas & 3;
    for (int i = 0; i < padding; i++) plain[deltas++] = i == padding - 1 ? (uint8_t)padding : 0;
    plain[0] = (uint8_t)(0x80 | 15 | (padding ? 0x20 : 0));
    plain[1] = 205;
    write16(plain + 2, (uint16_t)(deltas / 4 - 1));
    write32(plain + 4, twcc->sender);
    write32(plain + 8, media);
    write16(plain + 12, twcc->base);
    write16(plain + 14, (uint16_t)count);
    write32(plain + 16, (uint32_t)(reference & 0xFFFFFF) << 8 | twcc->count++);
    twcc->base = (uint16_t)(twcc->base + count);
    twcc_clear(twcc);

    /* SRTCP: eight bytes in the clear, the rest sealed, then the index with its encryption flag. */
    uint8_t iv[SALT] = {0}, trailer[4];
    uint32_t index = ++twcc->index;
    int done;
    write32(trailer, 0x80000000u | index);
    memcpy(iv + 2, plain + 4, 4);
    write32(iv + 8, index);
    for (int i = 0; i < SALT; i++) iv[i] ^= twcc->seal.salt[i];
    memcpy(out, plain, 8);
    if (!EVP_CipherInit_ex(twcc->seal.ctx, 0, 0, 0, iv, -1) || !EVP_CipherUpdate(twcc->seal.ctx, 0, &done, out, 8) ||
        !EVP_CipherUpdate(twcc->seal.ctx, 0, &done, trailer, 4) ||
        !EVP_CipherUpdate(twcc->seal.ctx, out + 8, &done, plain + 8, deltas - 8) ||
        !EVP_CipherFinal_ex(twcc->seal.ctx, out + deltas, &done) ||
        !EVP_CIPHER_CTX_ctrl(twcc->seal.ctx, GCM_GET_TAG, TAG, out + deltas))
        return 0;
    memcpy(out + deltas + TAG, trailer, 4);
    return deltas + TAG + 4;
}

#endif
