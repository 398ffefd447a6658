/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpcd_echo.c - the interfaces of rpch-server: rpcecho, which moves bytes,
 * and mgmt (C706 appendix Q), which lists the interfaces.
 */
#include "rpcd_rpc.h"

#include <stdlib.h>

/* A length and the max_count of the conformant array behind it. */
#define ARRAY_AT 8u

/* An answer of len zeroed bytes to be filled in, or NULL. */
static uint8_t *small_answer(rpcd_answer *answer, size_t len)
{
    answer->base = calloc(1, len);
    answer->data = answer->base;
    answer->len = answer->base != NULL ? len : 0;
    return answer->base;
}

static uint32_t add_one(rpcd_call *call, rpcd_answer *answer)
{
    const uint8_t *in = rpcd_buf_data(&call->stub);
    bool be = call->from.big_endian;
    uint8_t *out;

    if (call->total < 4)
        return RPCD_BAD_STUB_DATA;
    out = small_answer(answer, 4);
    if (out == NULL)
        return RPCD_SERVER_TOO_BUSY;
    rpcd_put32(out, rpcd_get32(in, be) + 1, be);
    return RPCD_OK;
}

/* Reads len and the max_count that must equal it; false when they differ or
 * the bytes are not all there. */
static bool get_array(const rpcd_call *call, uint32_t *len)
{
    const uint8_t *in = rpcd_buf_data(&call->stub);
    bool be = call->from.big_endian;

    if (call->total < ARRAY_AT)
        return false;
    *len = rpcd_get32(in, be);
    return rpcd_get32(in + 4, be) == *len && call->total - ARRAY_AT >= *len;
}

static uint32_t echo_data(rpcd_call *call, rpcd_answer *answer)
{
    uint32_t len;

    if (!get_array(call, &len))
        return RPCD_BAD_STUB_DATA;
    /* max_count and bytes are the answer as they came. */
    answer->base = call->stub.p;
    answer->data = rpcd_buf_data(&call->stub) + 4;
    answer->len = 4 + (size_t)len;
    memset(&call->stub, 0, sizeof(call->stub));
    return RPCD_OK;
}

static uint32_t sink_data(rpcd_call *call, rpcd_answer *answer)
{
    uint32_t len;

    return get_array(call, &len) ? RPCD_OK : RPCD_BAD_STUB_DATA;
}

static uint32_t source_data(rpcd_call *call, rpcd_answer *answer)
{
    uint8_t *out;
    uint32_t len;

    if (call->total < 4)
        return RPCD_BAD_STUB_DATA;
    len = rpcd_get32(rpcd_buf_data(&call->stub), call->from.big_endian);
    if (len > call->max)
        return RPCD_OUT_ARGS_TOO_BIG;
    out = small_answer(answer, 4);
    if (out == NULL)
        return RPCD_SERVER_TOO_BUSY;
    rpcd_put32(out, len, call->from.big_endian);
    answer->pattern = len;
    return RPCD_OK;
}

static uint32_t inq_if_ids(rpcd_call *call, rpcd_answer *answer);

static uint32_t is_server_listening(rpcd_call *call, rpcd_answer *answer)
{
    uint8_t *out = small_answer(answer, 8);

    if (out == NULL)
        return RPCD_SERVER_TOO_BUSY;
    rpcd_put32(out + 4, 1, call->from.big_endian); /* behind the status */
    return RPCD_OK;
}

static const rpcd_op echo_ops[] = {
    { 4, add_one },
    { SIZE_MAX, echo_data },
    { ARRAY_AT, sink_data },
    { 4, source_data }
};

static const rpcd_op mgmt_ops[] = {
    { 0, inq_if_ids },
    { 0, NULL },
    { 0, is_server_listening }
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const rpcd_interface interfaces[] = {
    { { { 0x60a15ec5, 0x4de8, 0x11d7,
          { 0xa6, 0x37, 0x00, 0x50, 0x56, 0xa2, 0x01, 0x82 } }, 1, 0 },
      COUNT(echo_ops), echo_ops },
    { { { 0xafa8bd80, 0x7d8a, 0x11c9,
          { 0xbe, 0xf4, 0x08, 0x00, 0x2b, 0x10, 0x29, 0x89 } }, 1, 0 },
      COUNT(mgmt_ops), mgmt_ops }
};

/* A unique pointer to { max_count, count, pointers }, what these point to,
 * and a status. */
static uint32_t inq_if_ids(rpcd_call *call, rpcd_answer *answer)
{
    uint32_t n = COUNT(interfaces);
    bool be = call->from.big_endian;
    uint8_t *out = small_answer(answer, 12 + 24 * (size_t)n + 4);
    uint32_t i;

    if (out == NULL)
        return RPCD_SERVER_TOO_BUSY;
    rpcd_put32(out, 0x00020000, be);
    rpcd_put32(out + 4, n, be);
    rpcd_put32(out + 8, n, be);
    out += 12;
    for (i = 0; i < n; i++, out += 4)
        rpcd_put32(out, 0x00020004 + 4 * i, be);
    for (i = 0; i < n; i++, out += 20) {
        rpcd_put_uuid(out, &interfaces[i].id.uuid, be);
        rpcd_put16(out + 16, interfaces[i].id.major, be);
        rpcd_put16(out + 18, interfaces[i].id.minor, be);
    }
    return RPCD_OK;
}

const rpcd_interface *rpcd_interface_find(const rpcd_syntax *id)
{
    size_t i;

    for (i = 0; i < COUNT(interfaces); i++)
        if (rpcd_uuid_equal(&interfaces[i].id.uuid, &id->uuid)
            && interfaces[i].id.major == id->major
            && interfaces[i].id.minor >= id->minor)
            return &interfaces[i];
    return NULL;
}
