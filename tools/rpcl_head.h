/* SPDX-License-Identifier: Apache-2.0 */
/* rpcl_head.h - the fields of an HTTP head, for rpch-client and rpch-load */
#ifndef RPCL_HEAD_H
#define RPCL_HEAD_H

/* The value of the first field of that name in head, which is a string of
 * lines that end with CR LF, the first of them no field: where it begins,
 * without the blanks before it. It ends with its line. NULL: there is none. */
const char *rpcl_head_field(const char *head, const char *name);

#endif
