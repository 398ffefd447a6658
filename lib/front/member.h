/* SPDX-License-Identifier: Apache-2.0 */
/*
 * member.h - "lbmethod=rpch": all connections of one user go to one member of
 * a balancer.
 */
#ifndef FRONT_MEMBER_H
#define FRONT_MEMBER_H

#include "front/proxy.h"

/* The method, for ap_register_provider. */
extern const proxy_balancer_method front_member_method;

#endif
