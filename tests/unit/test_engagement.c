/*
 * Recipients and their last activity: the lines that are handed in, the file, and who
 * reads it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/date.h"
#include "engine/decide.h"
#include "engine/sha256.h"
#include "lib/conf.h"
#include "lib/engagement.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "policyd/engagements.h"

#include <errno.h>
#include <unistd.h>

enum { TODAY = 20784 }; /* 2026-11-27 */

/* sha256("joe@example.org") */
#define JOE "0eafd52010f0849542563f1bc3f0e52d7a1414353e1bc0eb6da7d9d3c4ba3646"

static void
assert_sha256(const char *text, size_t length, const char *hex)
{
    uint8_t hash[SHA256_SIZE];
    char printed[2 * SHA256_SIZE + 1];

    sha256(text, length, hash);
    for (size_t i = 0; i < SHA256_SIZE; i++)
        sprintf(printed + 2 * i, "%02x", hash[i]);
    assert_string_equal(printed, hex);
}

/* The examples of FIPS 180, and lengths about the end of a block. */
static void
test_sha256(void **state)
{
    char *million = malloc(1000000);

    (void)state;
    memset(million, 'a', 1000000);
    assert_sha256("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_sha256("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    assert_sha256(million, 1000000,
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    assert_sha256(million, 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
    assert_sha256(million, 63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34");
    assert_sha256(million, 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
    free(million);
}

/* -------------------------------------------------------------------- lines */

static void
test_lines(void **state)
{
    static const struct {
        const char *line, *who;
        int32_t day;
    } lines[] = {
        {"joe@example.org 2026-11-20", "joe@example.org", TODAY - 7},
        {"Joe@Example.ORG\t7\n", "joe@example.org", TODAY - 7},
        {"joe@example.org,7d\r\n", "joe@example.org", TODAY - 7},
        {"  joe@example.org ; 0  ", "joe@example.org", TODAY},
        {"\"joe@example.org\",\"2026-11-20\"", "joe@example.org", TODAY - 7},
        {"joe@example.org,2026-11-20 12:00:01", "joe@example.org", TODAY - 7},
        {"joe@example.org,2026-11-20T12:00:01.5+01:00", "joe@example.org", TODAY - 7},
        {JOE " 7", "joe@example.org", TODAY - 7},
        {"joe@example.org 2026-11-28", "joe@example.org", TODAY + 1}, /* it is there already */
        {"joe@example.org 99999", "joe@example.org", 0},
        {"\xc3\xbc@example.org 1", "\xc3\xbc@example.org", TODAY - 1},
        {"\xef\xbb\xbfjoe@example.org 7", "joe@example.org", TODAY - 7}, /* U+FEFF of a table */
    };
    static const char *const nothing[] = {"", "\n", "  \r\n", "# joe@example.org 7",
                                          "\xef\xbb\xbf# 1"};

    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++) {
        uint64_t word = 0;
        struct err err;

        print_message("%s\n", lines[i].line);
        assert_int_equal(engagement_line(lines[i].line, TODAY, &word, &err), 1);
        assert_int_equal(word, engagement_hash(lines[i].who) | (uint64_t)lines[i].day);
    }
    for (size_t i = 0; i < COUNT(nothing); i++) {
        uint64_t word = 77;

        assert_int_equal(engagement_line(nothing[i], TODAY, &word, NULL), 0);
        assert_int_equal(word, 77);
    }
}

#define NOBODY "begins neither with an address nor with 64 hexadecimal digits of SHA-256"
#define NO_DAY "has no date such as 2026-11-27 and no number of days behind the recipient"

static void
test_bad_lines(void **state)
{
    static const struct {
        const char *line, *said;
    } lines[] = {
        {"email,last_open", NOBODY},
        {"joe 7", NOBODY},
        {"@example.org 7", NOBODY},
        {"joe@ 7", NOBODY},
        {"joe@a@b 7", NOBODY},
        {"<joe@example.org> 7", NOBODY},
        {"d68b4a3b 7", NOBODY},
        {"joe@example.org", NO_DAY},
        {"joe@example.org never", NO_DAY},
        {"joe@example.org -7", NO_DAY},
        {"joe@example.org 7 8", NO_DAY},
        {"joe@example.org 7w", NO_DAY},
        {"joe@example.org 123456", NO_DAY},
        {"joe@example.org 2026-02-30", NO_DAY},
        {"joe@example.org 2026-11-20x", NO_DAY},
        {"joe@example.org 2026-11-20 yes", NO_DAY},
        {"joe@example.org 2026-11-29", "has a date that is yet to come"},
        {"joe@example.org 2226-11-29", "has a date that is yet to come"},
    };
    char *longer = mem_printf("%01200d", 7);
    struct err err;
    uint64_t word = 77;

    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++) {
        print_message("%s\n", lines[i].line);
        assert_int_equal(engagement_line(lines[i].line, TODAY, &word, &err), -EINVAL);
        assert_string_equal(err.msg, lines[i].said);
        assert_int_equal(word, 77);
    }
    assert_int_equal(engagement_line(longer, TODAY, &word, &err), -EINVAL);
    assert_string_equal(err.msg, "is longer than 1127 bytes");
    free(longer);
}

/* --------------------------------------------------------------------- file */

enum { MANY = 3000 };

static uint64_t words[ENGAGEMENT_HEAD + MANY];

static void
name_of(size_t i, char name[static 32])
{
    snprintf(name, 32, "user%zu@example.org", i);
}

/* Every third is there twice, with an older day, too.  Returns the bytes. */
static size_t
make(size_t recipients)
{
    char name[32];
    size_t count = 0;

    for (size_t i = 0; i < recipients; i++) {
        name_of(i, name);
        words[ENGAGEMENT_HEAD + count++] = engagement_hash(name) | (TODAY - i % 90);
        if (i % 3 == 0)
            words[ENGAGEMENT_HEAD + count++] = engagement_hash(name) | (TODAY - 400);
    }
    assert_int_equal(engagement_make(words, count), recipients);
    return (ENGAGEMENT_HEAD + recipients) * sizeof(*words);
}

static void
test_file(void **state)
{
    struct engagement engagement;
    char name[32];

    (void)state;
    for (size_t count = 0; count < 2000; count = count * 2 + 1) {
        assert_int_equal(engagement_read(words, make(count), &engagement, NULL), 0);
        assert_int_equal(engagement.count, count);
        for (size_t i = 0; i < count; i++) {
            name_of(i, name);
            name[0] = 'U';
            assert_int_equal(engagement_day(&engagement, engagement_hash(name)), TODAY - i % 90);
        }
        name_of(count, name);
        assert_int_equal(engagement_day(&engagement, engagement_hash(name)), -1);
        assert_int_equal(engagement_day(&engagement, 0), -1);
        assert_int_equal(engagement_day(&engagement, UINT64_MAX), -1);
    }
}

static void
assert_refused(size_t length, const char *said)
{
    struct engagement engagement = {.count = 77};
    struct err err;
    void *bytes = malloc(length + 1); /* so that a sanitizer sees its end */

    memcpy(bytes, words, length);
    assert_int_equal(engagement_read(bytes, length, &engagement, &err), -EINVAL);
    assert_string_equal(err.msg, said);
    assert_int_equal(engagement.count, 77);
    free(bytes);
}

#define FOREIGN "is none that postpool engagement import has made"
#define CUT "is damaged: it has not the length that it should have"
#define CHECKSUM "is damaged: its checksum is another"

static void
test_damaged(void **state)
{
    size_t length = make(100);
    uint8_t *bytes = (uint8_t *)words;

    (void)state;
    assert_refused(0, FOREIGN);
    assert_refused(31, FOREIGN);
    assert_refused(32, CUT);
    assert_refused(length - 1, CUT);
    assert_refused(length - 8, CUT);
    assert_refused(length + 8, CUT);
    for (size_t i = 0; i < length; i += 7) {
        bytes[i] ^= 0x10;
        assert_refused(length, i < 16 ? FOREIGN : i < 24 ? CUT : CHECKSUM);
        bytes[i] ^= 0x10;
    }
}

/* ---------------------------------------------------------------- who reads it */

struct place {
    char folder[32];
    char *path;
    struct conf *conf;
};

static int
set_up(void **state)
{
    struct place *place = mem_new(sizeof(*place));
    char *text;

    strcpy(place->folder, "/tmp/engagementXXXXXX");
    assert_non_null(mkdtemp(place->folder));
    place->path = mem_printf("%s/engagement", place->folder);
    text = mem_printf("warmup: { engagement = \"%s\"; };\n", place->path);
    place->conf = unit_conf_with(text);
    free(text);
    *state = place;
    return 0;
}

static int
tear_down(void **state)
{
    struct place *place = *state;

    unlink(place->path);
    rmdir(place->folder);
    conf_unref(place->conf);
    free(place->path);
    free(place);
    return 0;
}

static int32_t
quiet_of(const struct place *place, const char *recipient)
{
    struct engagements *engagements = engagements_new(NULL, place->conf);
    int32_t quiet = engagements_quiet(engagements, recipient, TODAY);

    engagements_free(engagements);
    return quiet;
}

static void
test_quiet(void **state)
{
    struct place *place = *state;
    struct err err;

    assert_int_equal(quiet_of(place, "user5@example.org"), 0); /* there is no file */
    assert_int_equal(file_write_bytes(place->path, words, make(100), &err), 0);
    assert_int_equal(quiet_of(place, "user5@example.org"), 5);
    assert_int_equal(quiet_of(place, "User5@EXAMPLE.org"), 5);
    assert_int_equal(quiet_of(place, "user0@example.org"), 0);
    assert_int_equal(quiet_of(place, "other@example.org"), DECIDE_NEVER_ACTIVE);
    assert_int_equal(file_write_bytes(place->path, words, 100, &err), 0);
    assert_int_equal(quiet_of(place, "user5@example.org"), 0); /* it is damaged */
    place->conf->hint.header = mem_strdup("X-Engaged"); /* where hints tell, others are not known */
    assert_int_equal(quiet_of(place, "user5@example.org"), DECIDE_NEVER_ACTIVE);
    assert_int_equal(file_write_bytes(place->path, words, make(100), &err), 0);
    assert_int_equal(quiet_of(place, "user5@example.org"), 5);
}

/* Who reads the file and writes another has it alone meanwhile. */
static void
test_lock(void **state)
{
    struct place *place = *state;
    int one, other;
    struct err err;

    one = file_lock(place->path, 0, &err);
    assert_true(one >= 0);
    assert_int_equal(file_lock(place->path, 1, &err), -EBUSY);
    assert_non_null(strstr(err.msg, ": another program is at it"));
    close(one);
    other = file_lock(place->path, 0, &err);
    assert_true(other >= 0);
    close(other);
    assert_int_equal(file_lock("/none/such", 0, &err), -ENOENT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test_setup_teardown(test_quiet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lock, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
