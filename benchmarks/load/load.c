/* The load generator's per-packet half: one thread that receives for every viewer, one call that sends for a publisher.
 *
 * Python has done ICE and DTLS and hands over sockets and SRTP session keys; this counts what comes, opens and compares
 * the payload of one packet in `verify` and keeps how long it was under way (from the sender's clock reading to the
 * kernel's receive time stamp). It knows nothing of the server under test. A payload's first bytes are a VP8 payload
 * descriptor and frame tag, the packet's number and the time when it was sent; the rest follows from the number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "twcc.h"

#define BATCH 32
#define PACKET 2048
#define HEAD 14 /* descriptor, frame tag, number, time */
#define BUCKETS 200000 /* of a microsecond each; the last holds whatever took longer */
#define LONGEST 1500
#define SWEEP 10000000u /* ns between looks for viewers whose feedback is due */

/* Shared with Python: eight bytes each, in this order. */
struct counters {
    uint64_t packets, bytes, lost, late, verified, wrong, other, highest;
};

struct viewer {
    int fd;
    uint32_t ssrc;
    struct gcm gcm;
    struct rollover rollover;
    struct counters counters;
    struct twcc twcc;
};

struct load {
    int poll;
    int capacity;
    atomic_int count;
    atomic_int stopping;
    atomic_uint verify;
    atomic_uint epoch; /* raised by load_reset; the receiver clears its counters when it sees that */
    pthread_t thread;
    struct viewer *viewers;
    uint32_t *delays;
};

static uint8_t pattern[LONGEST + 256];

static uint64_t now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void check(struct load *load, struct viewer *viewer, uint8_t *packet, int header, int length, uint32_t roc,
                  uint64_t arrival) {
    int body = gcm_open(&viewer->gcm, packet, header, length, roc);
    const uint8_t *payload = packet + header;
    viewer->counters.verified++;
    if (body < HEAD) {
        viewer->counters.wrong++;
        return;
    }
    uint32_t number = read32(payload + 2);
    uint64_t sent = (uint64_t)read32(payload + 6) << 32 | read32(payload + 10);
    if (memcmp(payload + HEAD, pattern + ((number * 7 + HEAD) & 255), (size_t)(body - HEAD))) viewer->counters.wrong++;
    uint64_t micro = arrival > sent ? (arrival - sent) / 1000 : 0;
    load->delays[micro < BUCKETS ? micro : BUCKETS - 1]++;
}

static void tell(struct viewer *viewer, uint64_t now) {
    uint8_t message[PACKET];
    int length = twcc_message(&viewer->twcc, viewer->ssrc, message);
    if (length) send(viewer->fd, message, (size_t)length, MSG_DONTWAIT);
    viewer->twcc.told = now;
}

static void take(struct load *load, struct viewer *viewer, uint8_t *packet, int length, uint64_t arrival) {
    struct counters *counters = &viewer->counters;
    int header = rtp_header(packet, length);
    /* STUN, DTLS and RTCP (whose second byte is 192 to 223) are not media. */
    int media = header >= 0 && !(packet[1] >= 192 && packet[1] <= 223);
    /* Retransmissions and padding have numbers of the transport too. */
    int number = media && viewer->twcc.id ? twcc_number(packet, header, viewer->twcc.id) : -1;
    if (number >= 0 && twcc_note(&viewer->twcc, (uint16_t)number, arrival)) {
        tell(viewer, now_ns(CLOCK_MONOTONIC));
        twcc_note(&viewer->twcc, (uint16_t)number, arrival);
    }
    if (!media || read32(packet + 8) != viewer->ssrc) {
        counters->other++;
        return;
    }
    uint16_t sequence = read16(packet + 2);
    int first = !viewer->rollover.started;
    uint16_t before = viewer->rollover.highest;
    uint32_t roc = rollover_of(&viewer->rollover, sequence);
    int16_t ahead = first ? 1 : (int16_t)(sequence - before);
    if (ahead > 0)
        counters->lost += (uint64_t)(ahead - 1);
    else {
        counters->late++;
        if (counters->lost) counters->lost--;
    }
    counters->packets++;
    counters->bytes += (uint64_t)length;
    counters->highest = (uint64_t)viewer->rollover.roc << 16 | viewer->rollover.highest;
    unsigned every = atomic_load_explicit(&load->verify, memory_order_relaxed);
    if (every && counters->packets % every == 0) check(load, viewer, packet, header, length, roc, arrival);
}

static uint64_t arrival_of(struct msghdr *message) {
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control))
        if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec at;
            memcpy(&at, CMSG_DATA(control), sizeof at);
            return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
        }
    return now_ns(CLOCK_REALTIME);
}

static void *receive(void *argument) {
    struct load *load = argument;
    static _Thread_local uint8_t packets[BATCH][PACKET];
    static _Thread_local char controls[BATCH][64];
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    struct epoll_event events[256];
    unsigned epoch = 0;
    uint64_t swept = 0;
    /* Packets carry the kernel's time of arrival, so reading them may wait. The publisher's thread on the same core may
       not: it stamps a packet and then sends it, and what comes in between would count as the server's delay. */
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), getpriority(PRIO_PROCESS, 0) + 10);
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < BATCH; i++) {
        parts[i].iov_base = packets[i];
        parts[i].iov_len = PACKET;
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        messages[i].msg_hdr.msg_control = controls[i];
    }
    while (!atomic_load(&load->stopping)) {
        int ready = epoll_wait(load->poll, events, 256, 20);
        unsigned wanted = atomic_load(&load->epoch);
        if (wanted != epoch) {
            epoch = wanted;
            for (int i = 0; i < atomic_load(&load->count); i++)
                memset(&load->viewers[i].counters, 0, sizeof load->viewers[i].counters);
            memset(load->delays, 0, BUCKETS * sizeof *load->delays);
        }
        for (int e = 0; e < ready; e++) {
            struct viewer *viewer = &load->viewers[events[e].data.u32];
            for (;;) {
                for (int i = 0; i < BATCH; i++) messages[i].msg_hdr.msg_controllen = sizeof controls[i];
                int got = recvmmsg(viewer->fd, messages, BATCH, MSG_DONTWAIT, 0);
                if (got < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED)
                    epoll_ctl(load->poll, EPOLL_CTL_DEL, viewer->fd, 0);
                for (int i = 0; i < got; i++)
                    take(load, viewer, packets[i], (int)messages[i].msg_len, arrival_of(&messages[i].msg_hdr));
                if (got < BATCH) break;
            }
        }
        uint64_t now = now_ns(CLOCK_MONOTONIC);
        if (now - swept < SWEEP) continue;
        swept = now;
        for (int i = 0; i < atomic_load(&load->count); i++) {
            struct viewer *viewer = &load->viewers[i];
            if (!viewer->twcc.pending) continue;
            if (!viewer->twcc.told) viewer->twcc.told = now;
            if (now - viewer->twcc.told >= EVERY) tell(viewer, now);
        }
    }
    return 0;
}

/* A generator for at most `capacity` viewers; its thread runs at once. Null where memory or threads lack. */
struct load *load_new(int capacity) {
    for (int i = 0; i < LONGEST + 256; i++) pattern[i] = (uint8_t)i;
    struct load *load = calloc(1, sizeof *load);
    if (!load) return 0;
    load->capacity = capacity;
    load->viewers = calloc((size_t)capacity, sizeof *load->viewers);
    load->delays = calloc(BUCKETS, sizeof *load->delays);
    load->poll = epoll_create1(EPOLL_CLOEXEC);
    if (!load->viewers || !load->delays || load->poll < 0 || pthread_create(&load->thread, 0, receive, load)) return 0;
    return load;
}

/* Takes over reading `fd`, whose media has this SSRC and is sealed with this key. Where `twcc` is not 0 it is the id of
 * the header extension with transport-wide numbers, and feedback is sent on `fd`, sealed with the second key. Returns
 * the viewer's number, or -1. */
int load_add(struct load *load, int fd, uint32_t ssrc, const uint8_t *key, int key_length, const uint8_t *salt,
             int twcc, const uint8_t *feedback_key, const uint8_t *feedback_salt) {
    int index = atomic_load(&load->count), on = 1;
    if (index >= load->capacity) return -1;
    struct viewer *viewer = &load->viewers[index];
    viewer->fd = fd;
    viewer->ssrc = ssrc;
    if (gcm_init(&viewer->gcm, key, key_length, salt, 0)) return -1;
    viewer->twcc.id = twcc;
    viewer->twcc.sender = 2; /* reports go out under 1, with an index of their own */
    if (twcc && gcm_init(&viewer->twcc.seal, feedback_key, key_length, feedback_salt, 1)) return -1;
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    atomic_store(&load->count, index + 1);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)index};
    return epoll_ctl(load->poll, EPOLL_CTL_ADD, fd, &event) ? -1 : index;
}

/* One packet in `every` is opened and compared from now on; 0: none. */
void load_verify(struct load *load, unsigned every) { atomic_store(&load->verify, every); }

/* Counters start at zero again. They are cleared by the receiving thread, within 20 ms. */
void load_reset(struct load *load) { atomic_fetch_add(&load->epoch, 1); }

/* Copies may be a packet behind; call it when nothing is under way for exact figures. */
void load_counters(struct load *load, int index, struct counters *out) { *out = load->viewers[index].counters; }

/* The delays of verified packets, a count for each microsecond. */
void load_delays(struct load *load, uint32_t *out) { memcpy(out, load->delays, BUCKETS * sizeof *out); }

/* Ends the thread and frees everything; the sockets stay open. */
void load_free(struct load *load) {
    atomic_store(&load->stopping, 1);
    pthread_join(load->thread, 0);
    for (int i = 0; i < load->count; i++) {
        EVP_CIPHER_CTX_free(load->viewers[i].gcm.ctx);
        EVP_CIPHER_CTX_free(load->viewers[i].twcc.seal.ctx);
    }
    close(load->poll);
    free(load->viewers);
    free(load->delays);
    free(load);
}

/* --- publishing --- */

struct publisher {
    int fd;
    struct gcm gcm;
    struct rollover rollover;
    uint32_t number;
    uint32_t frames;
    uint16_t sequence;
    int extension;
    uint8_t header[12 + 64];
    atomic_int keyframe;
    atomic_int stopping;
};

/* `header` is the RTP header with its extension, as in every packet but for marker, sequence and time stamp. */
struct publisher *publisher_new(int fd, const uint8_t *header, int length, const uint8_t *key, int key_length,
                                const uint8_t *salt) {
    struct publisher *publisher = calloc(1, sizeof *publisher);
    if (!publisher || length > (int)sizeof publisher->header) return 0;
    publisher->fd = fd;
    memcpy(publisher->header, header, (size_t)length);
    publisher->extension = length;
    publisher->sequence = read16(header + 2);
    return gcm_init(&publisher->gcm, key, key_length, salt, 1) ? 0 : publisher;
}

/* The next frame is a key frame. */
void publisher_keyframe(struct publisher *publisher) { atomic_store(&publisher->keyframe, 1); }

void publisher_stop(struct publisher *publisher) { atomic_store(&publisher->stopping, 1); }

static int make(struct publisher *publisher, uint8_t *packet, int size, int place, int burst, int key) {
    uint8_t payload[LONGEST];
    int header = publisher->extension;
    memcpy(packet, publisher->header, (size_t)header);
    packet[1] = (uint8_t)((packet[1] & 127) | (place == burst - 1 ? 128 : 0));
    write16(packet + 2, publisher->sequence);
    write32(packet + 4, publisher->frames * 3000);
    payload[0] = place ? 0 : 0x10;
    payload[1] = key ? 0x10 : 0x11;
    write32(payload + 2, publisher->number);
    uint64_t now = now_ns(CLOCK_REALTIME);
    write32(payload + 6, (uint32_t)(now >> 32));
    write32(payload + 10, (uint32_t)now);
    memcpy(payload + HEAD, pattern + ((publisher->number * 7 + HEAD) & 255), (size_t)(size - HEAD));
    uint32_t roc = rollover_of(&publisher->rollover, publisher->sequence);
    publisher->number++;
    publisher->sequence++;
    return gcm_seal(&publisher->gcm, packet, header, payload, size, roc);
}

/* Sends frames of `burst` packets with `size` bytes of payload each, `rate` packets per second, until `packets` are out
 * or publisher_stop. Every `keyframes`-th frame is a key frame. Returns how many packets were sent; late bursts are
 * sent at once, so that the rate holds over time. */
long publisher_send(struct publisher *publisher, long packets, int burst, int size, double rate, int keyframes) {
    uint8_t made[64][PACKET];
    struct mmsghdr messages[64];
    struct iovec parts[64];
    if (burst < 1 || burst > 64 || size < HEAD || size > LONGEST - 100) return -1;
    memset(messages, 0, sizeof messages);
    uint64_t start = now_ns(CLOCK_MONOTONIC);
    long sent = 0;
    atomic_store(&publisher->stopping, 0);
    while (sent < packets && !atomic_load(&publisher->stopping)) {
        uint64_t due = start + (uint64_t)((double)sent / rate * 1e9);
        struct timespec at = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, 0);
        int key = publisher->frames % (unsigned)keyframes == 0;
        if (atomic_exchange(&publisher->keyframe, 0)) key = 1;
        for (int i = 0; i < burst; i++) {
            int length = make(publisher, made[i], size, i, burst, key);
            if (length < 0) return -1;
            parts[i].iov_base = made[i];
            parts[i].iov_len = (size_t)length;
            messages[i].msg_hdr.msg_iov = &parts[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
        for (int gone = 0; gone < burst;) {
            int now = sendmmsg(publisher->fd, messages + gone, (unsigned)(burst - gone), 0);
            gone += now > 0 ? now : 1;
        }
        publisher->frames++;
        sent += burst;
    }
    return sent;
}

void publisher_free(struct publisher *publisher) {
    EVP_CIPHER_CTX_free(publisher->gcm.ctx);
    free(publisher);
}
