/* The least work that forwards SRTP: recvmmsg, open, seal for each subscriber, sendmmsg with GSO. Nothing else.
 *
 * No header parsing beyond the header's length, no history, feedback, statistics, layers, ICE: only the SSRC is the
 * subscriber's own. What a full forwarder costs beyond this is the price of being one.
 *
 * Standard input: a line with the number of subscribers; the publisher's key and salt; then key, salt, IPv4 address and
 * port of each subscriber, hexadecimal but for the last two. Standard output: our port, then one line "ready".
 * Ends when it is killed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "../load/srtp.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif

#define BATCH 64
#define PACKET 1536
#define HELD 256 /* messages sent at once */
#define ROOM (256 * 1024) /* what is sealed before it is sent: as much as stays in the cache */
#define MOST_SEGMENTS 44 /* times 1,472 bytes is what one GSO send may carry */

struct subscriber {
    struct gcm gcm;
    struct sockaddr_in address;
    uint8_t ssrc[4];
};

static int hex(const char *text, uint8_t *out, int length) {
    for (int i = 0; i < length; i++) {
        unsigned value;
        if (sscanf(text + 2 * i, "%2x", &value) != 1) return -1;
        out[i] = (uint8_t)value;
    }
    return 0;
}

static int leg(struct gcm *gcm, const char *key, const char *salt, int seal) {
    uint8_t key_bytes[32], salt_bytes[SALT];
    int length = (int)strlen(key) / 2;
    if ((length != 16 && length != 32) || strlen(salt) != 2 * SALT) return -1;
    if (hex(key, key_bytes, length) || hex(salt, salt_bytes, SALT)) return -1;
    return gcm_init(gcm, key_bytes, length, salt_bytes, seal);
}

static uint8_t in[BATCH][PACKET], out[ROOM];
static struct mmsghdr messages[HELD];
static struct iovec parts[HELD];
static union {
    char bytes[CMSG_SPACE(sizeof(uint16_t))];
    struct cmsghdr align;
} controls[HELD];

static int queued, filled, sock;

static void flush(void) {
    for (int sent = 0; sent < queued;) {
        int now = sendmmsg(sock, messages + sent, (unsigned)(queued - sent), 0);
        sent += now > 0 ? now : 1; /* what cannot be sent is lost, as UDP is */
    }
    queued = filled = 0;
}

static void queue(struct subscriber *to, int length, int segment) {
    struct msghdr *message = &messages[queued].msg_hdr;
    memset(message, 0, sizeof *message);
    parts[queued].iov_base = out + filled;
    parts[queued].iov_len = (size_t)length;
    message->msg_name = &to->address;
    message->msg_namelen = sizeof to->address;
    message->msg_iov = &parts[queued];
    message->msg_iovlen = 1;
    if (length > segment) {
        message->msg_control = controls[queued].bytes;
        message->msg_controllen = sizeof controls[queued].bytes;
        struct cmsghdr *control = CMSG_FIRSTHDR(message);
        control->cmsg_level = SOL_UDP;
        control->cmsg_type = UDP_SEGMENT;
        control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        uint16_t size = (uint16_t)segment;
        memcpy(CMSG_DATA(control), &size, sizeof size);
    }
    filled += length;
    queued++;
}

int main(void) {
    int count;
    char key[72], salt[72], host[48];
    struct gcm publisher;
    if (scanf("%d", &count) != 1 || count < 1 || count > 10000) return 2;
    struct subscriber *subscribers = calloc((size_t)count, sizeof *subscribers);
    if (scanf("%70s %70s", key, salt) != 2 || leg(&publisher, key, salt, 0)) return 2;
    for (int i = 0; i < count; i++) {
        int port;
        struct subscriber *to = &subscribers[i];
        if (scanf("%70s %70s %46s %d", key, salt, host, &port) != 4 || leg(&to->gcm, key, salt, 1)) return 2;
        to->address.sin_family = AF_INET;
        to->address.sin_port = htons((uint16_t)port);
        if (inet_pton(AF_INET, host, &to->address.sin_addr) != 1) return 2;
        write32(to->ssrc, (uint32_t)(0x10000 + i));
    }
    sock = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    int buffer = 8 << 20;
    setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    if (bind(sock, (struct sockaddr *)&here, size) || getsockname(sock, (struct sockaddr *)&here, &size)) return 1;
    printf("%d\nready\n", ntohs(here.sin_port));
    fflush(stdout);

    struct mmsghdr received[BATCH];
    struct iovec into[BATCH];
    memset(received, 0, sizeof received);
    for (int i = 0; i < BATCH; i++) {
        into[i].iov_base = in[i];
        into[i].iov_len = PACKET;
        received[i].msg_hdr.msg_iov = &into[i];
        received[i].msg_hdr.msg_iovlen = 1;
    }
    struct rollover rollover = {0};
    for (;;) {
        int got = recvmmsg(sock, received, BATCH, MSG_WAITFORONE, 0);
        if (got < 0) return 1;
        int headers[BATCH], bodies[BATCH];
        uint32_t rocs[BATCH];
        for (int i = 0; i < got; i++) {
            int length = (int)received[i].msg_len;
            headers[i] = rtp_header(in[i], length);
            bodies[i] = -1;
            if (headers[i] < 0) continue;
            rocs[i] = rollover_of(&rollover, read16(in[i] + 2));
            bodies[i] = gcm_open(&publisher, in[i], headers[i], length, rocs[i]);
        }
        for (int s = 0; s < count; s++) {
            struct subscriber *to = &subscribers[s];
            for (int i = 0; i < got;) {
                if (bodies[i] < 0) {
                    i++;
                    continue;
                }
                int segment = headers[i] + bodies[i] + TAG, length = 0;
                if (queued == HELD || filled + MOST_SEGMENTS * segment > ROOM) flush();
                /* Equal lengths in a row leave as one send; the last may be shorter. */
                for (int run = 0; run < MOST_SEGMENTS && i < got; run++, i++) {
                    int next = bodies[i] < 0 ? 0 : headers[i] + bodies[i] + TAG;
                    if (!next || next > segment) break;
                    uint8_t *packet = out + filled + length;
                    memcpy(packet, in[i], (size_t)headers[i]);
                    memcpy(packet + 8, to->ssrc, 4);
                    if (gcm_seal(&to->gcm, packet, headers[i], in[i] + headers[i], bodies[i], rocs[i]) < 0) return 1;
                    length += next;
                    if (next < segment) {
                        i++;
                        break;
                    }
                }
                queue(to, length, segment);
            }
        }
        flush();
    }
}
