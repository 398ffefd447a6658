/* SPDX-License-Identifier: Apache-2.0 */
/* test_room.c - seats of channels in a child: by number, by descriptors, by
 * silent requests, and how often a refusal is told */
#include "rpch_test.h"

#include <pthread.h>

#include "relay/room.h"

static relay_room room;

static relay_seat seat_of(uint8_t user, uint8_t address)
{
    relay_seat seat;
    memset(&seat, 0, sizeof(seat));
    seat.files = 2;
    memset(seat.user.b, user, sizeof(seat.user.b));
    memset(seat.address.b, address, sizeof(seat.address.b));
    return seat;
}

static void ck_empty(void)
{
    int kind, row;
    unsigned i;
    ck_assert_uint_eq(room.taken, 0);
    ck_assert_uint_eq(room.promised, 0);
    for (kind = 0; kind < 2; kind++)
        for (row = 0; row < 2; row++)
            for (i = 0; i < RELAY_ROOM_COLUMNS; i++)
                ck_assert_uint_eq(room.silent[kind][row][i], 0);
}

/* Takes seats until that is refused; *result says why. Returns how many. */
static int fill(relay_seat *seats, int n, relay_room_result *result)
{
    int i;
    for (i = 0; i < n; i++) {
        *result = relay_room_take(&room, &seats[i], 10);
        if (*result != RELAY_ROOM_OK)
            return i;
    }
    return n;
}

START_TEST(test_room_number)
{
    relay_seat seats[4];
    relay_room_result result;
    int i;
    relay_room_init(&room, 3, 1024, 1);
    for (i = 0; i < 4; i++)
        seats[i] = seat_of(1, 1);
    ck_assert_int_eq(fill(seats, 4, &result), 3);
    ck_assert_int_eq(result, RELAY_ROOM_CHANNELS);
    relay_room_heard(&room, &seats[0]);
    ck_assert_int_eq(relay_room_take(&room, &seats[3], 10),
                     RELAY_ROOM_CHANNELS);
    relay_room_leave(&room, &seats[1]);
    ck_assert_int_eq(relay_room_take(&room, &seats[3], 10), RELAY_ROOM_OK);
    relay_room_leave(&room, &seats[0]);
    relay_room_leave(&room, &seats[2]);
    relay_room_leave(&room, &seats[3]);
    ck_empty();
}
END_TEST

/* One that is refused has come and gone. */
START_TEST(test_room_changes)
{
    relay_seat seats[2];
    relay_room_init(&room, 1, 1024, 1);
    seats[0] = seats[1] = seat_of(1, 1);
    ck_assert_uint_eq(relay_room_changes(&room), 0);
    ck_assert_int_eq(relay_room_take(&room, &seats[0], 10), RELAY_ROOM_OK);
    ck_assert_uint_eq(relay_room_changes(&room), 1);
    ck_assert_int_eq(relay_room_take(&room, &seats[1], 10),
                     RELAY_ROOM_CHANNELS);
    ck_assert_uint_eq(relay_room_changes(&room), 3);
    relay_room_leave(&room, &seats[0]);
    ck_assert_uint_eq(relay_room_changes(&room), 4);
}
END_TEST

/* 1024: an eighth is httpd's, so 896 are left, for 448 native channels. */
START_TEST(test_room_descriptors)
{
    static relay_seat seats[1024];
    relay_room_result result;
    int i;
    relay_room_init(&room, 0, 1024, 25);
    for (i = 0; i < 1024; i++)
        seats[i] = seat_of((uint8_t)i, (uint8_t)i);
    ck_assert_int_eq(fill(seats, 1024, &result), 448);
    ck_assert_int_eq(result, RELAY_ROOM_FILES);
    for (i = 0; i < 448; i++)
        relay_room_leave(&room, &seats[i]);
    ck_empty();
    for (i = 0; i < 1024; i++)
        seats[i].files = 3;
    ck_assert_int_eq(fill(seats, 1024, &result), 298);
    ck_assert_int_eq(result, RELAY_ROOM_FILES);
}
END_TEST

/* What else is open counts by the number of the client's descriptor. */
START_TEST(test_room_ceiling)
{
    relay_seat seat = seat_of(1, 1);
    relay_room_init(&room, 0, 1024, 25);
    ck_assert_int_eq(relay_room_take(&room, &seat, 960), RELAY_ROOM_FILES);
    ck_empty();
    ck_assert_int_eq(relay_room_take(&room, &seat, 959), RELAY_ROOM_OK);
    relay_room_leave(&room, &seat);
    /* of a connection that has none */
    ck_assert_int_eq(relay_room_take(&room, &seat, -1), RELAY_ROOM_OK);
}
END_TEST

/* Many threads need more than an eighth, but never more than half. */
START_TEST(test_room_reserve)
{
    relay_room_init(&room, 0, 1024, 100);
    ck_assert_uint_eq(room.files, 1024 - 264);
    relay_room_init(&room, 0, 256, 100);
    ck_assert_uint_eq(room.files, 128);
    relay_room_init(&room, 0, 20000, 64);
    ck_assert_uint_eq(room.files, 17500);
    relay_room_init(&room, 0, UINT32_MAX, 64);
    ck_assert_uint_gt(room.files, UINT32_C(3000000000));
    relay_room_init(&room, 0, 0, 64);
    ck_assert_uint_eq(room.files, 0);
}
END_TEST

START_TEST(test_room_silent_user)
{
    relay_seat a = seat_of(1, 1), b = seat_of(1, 2), c = seat_of(1, 3);
    relay_seat other = seat_of(2, 1);
    relay_room_init(&room, 0, 1024, 1);
    a.max_per_user = b.max_per_user = c.max_per_user = 2;
    other.max_per_user = 2;
    ck_assert_int_eq(relay_room_take(&room, &a, 10), RELAY_ROOM_OK);
    ck_assert_int_eq(relay_room_take(&room, &b, 10), RELAY_ROOM_OK);
    ck_assert_int_eq(relay_room_take(&room, &c, 10), RELAY_ROOM_USER);
    ck_assert_int_eq(relay_room_take(&room, &other, 10), RELAY_ROOM_OK);
    /* Once heard it is the table's; hearing it again changes nothing. */
    relay_room_heard(&room, &a);
    relay_room_heard(&room, &a);
    ck_assert_int_eq(relay_room_take(&room, &c, 10), RELAY_ROOM_OK);
    relay_room_leave(&room, &a);
    relay_room_leave(&room, &b);
    relay_room_leave(&room, &c);
    relay_room_leave(&room, &other);
    ck_empty();
}
END_TEST

START_TEST(test_room_silent_address)
{
    relay_seat a = seat_of(1, 1), b = seat_of(2, 1);
    relay_room_init(&room, 0, 1024, 1);
    a.max_per_address = b.max_per_address = 1;
    ck_assert_int_eq(relay_room_take(&room, &a, 10), RELAY_ROOM_OK);
    ck_assert_int_eq(relay_room_take(&room, &b, 10), RELAY_ROOM_ADDRESS);
    relay_room_leave(&room, &a);
    ck_assert_int_eq(relay_room_take(&room, &b, 10), RELAY_ROOM_OK);
    relay_room_leave(&room, &b);
    ck_empty();
}
END_TEST

/* Two users of whom one hash shares a counter are still told apart. */
START_TEST(test_room_silent_collision)
{
    relay_seat a = seat_of(1, 1), b = seat_of(1, 2);
    relay_room_init(&room, 0, 1024, 1);
    b.user.b[4] = 9;
    a.max_per_user = b.max_per_user = 1;
    ck_assert_int_eq(relay_room_take(&room, &a, 10), RELAY_ROOM_OK);
    ck_assert_int_eq(relay_room_take(&room, &b, 10), RELAY_ROOM_OK);
}
END_TEST

START_TEST(test_room_tell)
{
    unsigned untold = 99;
    relay_room_init(&room, 0, 1024, 1);
    ck_assert(relay_room_tell(&room, 0, &untold));
    ck_assert_uint_eq(untold, 0);
    ck_assert(!relay_room_tell(&room, 500, &untold));
    ck_assert(!relay_room_tell(&room, RELAY_ROOM_TELL_INTERVAL, &untold));
    ck_assert(relay_room_tell(&room, RELAY_ROOM_TELL_INTERVAL + 1, &untold));
    ck_assert_uint_eq(untold, 2);
    ck_assert(relay_room_tell(&room, 3 * RELAY_ROOM_TELL_INTERVAL, &untold));
    ck_assert_uint_eq(untold, 0);
}
END_TEST

static void *come_and_go(void *data)
{
    uint8_t user = *(uint8_t *)data;
    int i, *refused = calloc(1, sizeof(int));
    for (i = 0; i < 20000; i++) {
        relay_seat seat = seat_of(user, user);
        seat.max_per_user = 4;
        if (relay_room_take(&room, &seat, 10) != RELAY_ROOM_OK) {
            (*refused)++;
            continue;
        }
        if (i % 2)
            relay_room_heard(&room, &seat);
        relay_room_leave(&room, &seat);
    }
    return refused;
}

START_TEST(test_room_threads)
{
    pthread_t thread[4];
    uint8_t user[4] = { 1, 1, 2, 3 };
    void *refused;
    int i;
    relay_room_init(&room, 8, 1024, 1);
    for (i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, come_and_go,
                                        &user[i]), 0);
    for (i = 0; i < 4; i++) {
        pthread_join(thread[i], &refused);
        ck_assert_int_eq(*(int *)refused, 0);
        free(refused);
    }
    ck_empty();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("room");
    TCase *tc = tcase_create("seats");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_room_number);
    tcase_add_test(tc, test_room_changes);
    tcase_add_test(tc, test_room_descriptors);
    tcase_add_test(tc, test_room_ceiling);
    tcase_add_test(tc, test_room_reserve);
    tcase_add_test(tc, test_room_silent_user);
    tcase_add_test(tc, test_room_silent_address);
    tcase_add_test(tc, test_room_silent_collision);
    tcase_add_test(tc, test_room_tell);
    tcase_add_test(tc, test_room_threads);
    suite_add_tcase(s, tc);
    return test_main(s);
}
