/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports.h - the registry's ValidPorts: which targets may be reached.
 *
 *   list  = entry *( ";" entry ) [ ";" ]
 *   entry = name ":" port [ "-" port ]
 *   name  = text [ "*" ] | "*@" domain | "[" IPv6 "]"
 *
 * White space around entries and empty entries are ignored, as administrators
 * write them. Names are compared without regard to case and with no
 * canonicalisation: a short name, a full name and an address are three
 * different names.
 */
#ifndef RPCH_PORTS_H
#define RPCH_PORTS_H

#include "rpch/rpch.h"

/* One entry; text is borrowed from the parsed string. */
typedef struct rpch_ports_entry {
    const char *name; /* without brackets and without the '*' */
    size_t name_len;
    bool prefix;      /* "Data*": every name that starts so */
    bool domain;      /* "*@example.com": every mailbox name of that domain;
                       * name holds "@example.com" */
    uint16_t low;     /* ports, both inclusive */
    uint16_t high;
} rpch_ports_entry;

/* Parses list into entries[0..max) and sets *n to how many it has, which may
 * be more than max (then RPCH_E_ROOM: bring a larger array). RPCH_E_SYNTAX
 * with *reason and *at (offset in list) for the first entry that cannot be
 * read: no colon, empty or too long name, a character that no name has, a '*'
 * that is not the last character, an IPv6 address without brackets, a port
 * that is not 1 to 6 digits making 1..65535, a reversed range. A bare "*" as
 * the whole name is accepted (any name). entries may be NULL when max is 0. */
int rpch_ports_parse(const char *list, rpch_ports_entry *entries, size_t max,
                     size_t *n, size_t *at, const char **reason);

/* True when the entry allows that name; ports are not looked at. */
bool rpch_ports_name_matches(const rpch_ports_entry *e, const char *name);

/* Index of the first entry that allows name:port, or -1. */
int rpch_ports_match(const rpch_ports_entry *entries, size_t n,
                     const char *name, uint16_t port);

/* Why an entry nearly allowed a refused target. */
typedef enum rpch_ports_near {
    RPCH_NEAR_NONE,   /* no entry comes close */
    RPCH_NEAR_PORT,   /* the name is listed, with other ports */
    RPCH_NEAR_SHORT,  /* the list has the short form of the name asked for */
    RPCH_NEAR_FULL    /* the list has a full form of the name asked for */
} rpch_ports_near;

/* Finds the entry that nearly allowed name:port, for the log; *index is set
 * unless the result is RPCH_NEAR_NONE. A listed name comes before another
 * form of it, and an entry with the port before one without. */
rpch_ports_near rpch_ports_nearest(const rpch_ports_entry *entries, size_t n,
                                   const char *name, uint16_t port,
                                   size_t *index);

#endif
