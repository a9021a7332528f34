/*
 * What providers require of bulk mail: values of fields, and whole headers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/mem.h"
#include "milter/bulk.h"

/* ------------------------------------------------------------------- values */

static void
test_authors(void **state)
{
    static const struct {
        const char *value;
        const char *domain; /* NULL: not exactly one address */
    } cases[] = {
        {"joe@a.test", "a.test"},
        {" Joe <joe@A.Test>\r\n", "a.test"},
        {"<joe@a.test>", "a.test"},
        {"joe@a.test (Joe (the one))", "a.test"},
        {"\"Shop, the <best>\" <news@shop.a.test>", "shop.a.test"},
        {"\"a\\\"b,c@d\" <joe@a.test>", "a.test"},
        {"=?utf-8?q?J=C3=B6?= <joe@a.test>", "a.test"},
        {"J\xc3\xb6\xc3\xab <j\xc3\xb6@b\xc3\xbc"
         "cher.test>",
         "b\xc3\xbc"
         "cher.test"},
        {"Joe Q. Public\n\t<joe@a.test>", "a.test"},
        {"\"quoted local\"@a.test", "a.test"},
        {"joe . q @ a . test", "a.test"},
        {"joe(a)@(b)a(c).(d)test(e)", "a.test"},
        {"Joe (x, y@z.test) <joe@a.test>", "a.test"},
        {",, joe@a.test ,", "a.test"},
        {"joe@a.test (a\\)b)", "a.test"},
        {"<joe@a.test> (x) ,", "a.test"},
        {"joe@a.test (x", NULL},
        {"<joe@a.test> (x", NULL},
        {"joe@localhost", "localhost"},
        {"joe@[192.0.2.1]", ""},
        {"", NULL},
        {"  ", NULL},
        {",", NULL},
        {"<>", NULL},
        {"Joe <>", NULL},
        {"joe", NULL},
        {"Joe <joe>", NULL},
        {"joe@", NULL},
        {"@a.test", NULL},
        {"joe@a.test, ann@a.test", NULL},
        {"Joe <joe@a.test>, Ann <ann@a.test>", NULL},
        {"joe@a.test ann@a.test", NULL},
        {"<joe@a.test> <ann@a.test>", NULL},
        {"<joe@a.test> Joe", NULL},
        {"Doe, Joe <joe@a.test>", NULL},
        {"ceo@bank.test <joe@a.test>", NULL},
        {"ceo@ <joe@a.test>", NULL},
        {"Joe <joe@a.test", NULL},
        {"Joe joe@a.test>", NULL},
        {"\"Joe <joe@a.test>", NULL},
        {"Joe (x <joe@a.test>", NULL},
        {"Joe) <joe@a.test>", NULL},
        {"\"", NULL},
        {"\\", NULL},
        {"\"a\\", NULL},
        {"Team: joe@a.test;", NULL},
        {"undisclosed:;", NULL},
        {"<@b.test:joe@a.test>", NULL},
        {"joe@a..test", NULL},
        {"joe@a.test.", NULL},
        {"joe..q@a.test", NULL},
        {"joe@a.test\x01", NULL},
        {"joe@[192.0.2.1", NULL},
        {"joe@[[1]", NULL},
        {"joe@a.test@b.test", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char domain[BULK_DOMAIN_SIZE] = "?";
        bool one = bulk_value_author(cases[i].value, domain);

        if (one != (cases[i].domain != NULL) ||
            strcmp(domain, cases[i].domain != NULL ? cases[i].domain : "") != 0)
            fail_msg("%s: %d, domain %s", cases[i].value, one, domain);
    }
}

/* What does not fit is no domain, and the address is one all the same. */
static void
test_long_domains(void **state)
{
    char value[2000], domain[BULK_DOMAIN_SIZE], label[64] = "";

    (void)state;
    memset(label, 'a', 63);
    snprintf(value, sizeof(value), "joe@%s.%s.%s.%.62s", label, label, label, label);
    assert_true(bulk_value_author(value, domain));
    assert_int_equal(strlen(domain), 254);
    snprintf(value, sizeof(value), "joe@%s.%s.%s.%s", label, label, label, label);
    assert_true(bulk_value_author(value, domain));
    assert_string_equal(domain, "");
    snprintf(value, sizeof(value), "joe@%s.%s.%s.%s.%s.a", label, label, label, label, label);
    assert_true(bulk_value_author(value, domain));
    assert_string_equal(domain, "");
    snprintf(value, sizeof(value), "d=%s.%s.%s.%s", label, label, label, label);
    assert_true(bulk_value_signer(value, domain));
    snprintf(value, sizeof(value), "d=%s.%s.%s.%s.", label, label, label, label);
    assert_false(bulk_value_signer(value, domain));
    assert_string_equal(domain, "");
}

static void
test_uris(void **state)
{
    static const struct {
        const char *value;
        bool any, https;
    } cases[] = {
        {"<mailto:leave@a.test?subject=x>", true, false},
        {"<https://a.test/u?id=1>", true, true},
        {" <mailto:l@a.test>,\r\n\t<HTTPS://a.test/u>", true, true},
        {"<https://a.test/u>, <mailto:l@a.test>", true, true},
        {"<http://a.test/u>", true, false},
        {"(leave) <mailto:l@a.test> (or) , (there) <https://[2001:db8::1]/>", true, true},
        {"<htt\n ps://a.\n test/u>", true, true},
        {"<https://b\xc3\xbc"
         "cher.test/>",
         true, true},
        {"<mailto:l@a.test> <https://a.test/u>", true, false},
        {"<mailto:l@a.test>; <https://a.test/u>", true, false},
        {"", false, false},
        {"https://a.test/u", false, false},
        {"x <https://a.test/u>", false, false},
        {"<>", false, false},
        {"<https://a.test/u", false, false},
        {"<leave@a.test>", false, false},
        {"<mailto:>", false, false},
        {"<:x>", false, false},
        {"<4a:x>", false, false},
        {"<+a:x>", false, false},
        {"<a+b-c.d:x>", true, false},
        {"<https:>", false, false},
        {"<https://>", true, false},
        {"<https:///u>", true, false},
        {"<https:a.test>", true, false},
        {"<httpsx://a.test/u>", true, false},
        {"<mailto:a <https://a.test/u>", false, false},
        {"<,>,<mailto:l@a.test>", true, false},
        {",<mailto:l@a.test>", false, false},
        {"(<https://a.test/u>", false, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bulk_uris uris = {true, true};

        bulk_value_uris(cases[i].value, &uris);
        if (uris.any != cases[i].any || uris.https != cases[i].https)
            fail_msg("%s: any %d, https %d", cases[i].value, uris.any, uris.https);
    }
}

static void
test_one_click(void **state)
{
    (void)state;
    assert_true(bulk_value_is_one_click("List-Unsubscribe=One-Click"));
    assert_true(bulk_value_is_one_click(" list-unsubscribe=one-click\r\n"));
    assert_false(bulk_value_is_one_click(""));
    assert_false(bulk_value_is_one_click("List-Unsubscribe"));
    assert_false(bulk_value_is_one_click("List-Unsubscribe = One-Click"));
    assert_false(bulk_value_is_one_click("List-Unsubscribe=One-Click, x=y"));
    assert_false(bulk_value_is_one_click("\"List-Unsubscribe=One-Click\""));
}

static void
test_signers(void **state)
{
    static const struct {
        const char *value;
        const char *domain; /* NULL: none */
    } cases[] = {
        {"v=1; a=rsa-sha256; d=A.test; s=x; h=from:to; b=abc==", "a.test"},
        {"v=1;\r\n\td = a.test ;b=", "a.test"},
        {"d=a.test", "a.test"},
        {"bh=d=b.test; d=a.test;", "a.test"},
        {"D=b.test; d=a.test", "a.test"},
        {"", NULL},
        {"v=1; s=x", NULL},
        {"d=", NULL},
        {"d= ;", NULL},
        {"d=.a.test", NULL},
        {"d=a test", NULL},
        {"d=a.test; d=b.test", NULL},
        {"d=a.test; d=a.test", NULL},
        {"d=<a.test>", NULL},
        {"d", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char domain[BULK_DOMAIN_SIZE] = "?";
        bool found = bulk_value_signer(cases[i].value, domain);

        if (found != (cases[i].domain != NULL) ||
            strcmp(domain, cases[i].domain != NULL ? cases[i].domain : "") != 0)
            fail_msg("%s: %d, domain %s", cases[i].value, found, domain);
    }
}

/* ------------------------------------------------------------------ headers */

/* What of everything that can be required is not met; header: lines of "Name: value". */
static const char *
unmet(const char *header, const char *sender)
{
    static char names[BULK_NAMES_SIZE];
    char *copy = mem_strdup(header), *save = NULL;
    struct bulk bulk = {0};

    for (char *line = strtok_r(copy, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char *colon = strchr(line, ':');

        *colon = '\0';
        bulk_header(&bulk, line, colon + 1);
    }
    free(copy);
    return bulk_print(bulk_unmet(&bulk, REQUIRE_BIT(REQUIRE_COUNT) - 1, sender), names);
}

#define FROM "From: Joe <joe@a.test>\n"
#define LEAVE "List-Unsubscribe: <https://a.test/u>\n"
#define POST "List-Unsubscribe-Post: List-Unsubscribe=One-Click\n"

static void
test_headers(void **state)
{
    static const struct {
        const char *header, *sender, *unmet;
    } cases[] = {
        {FROM LEAVE POST, "joe@a.test", ""},
        {"fROM: joe@a.test\nlist-UNSUBSCRIBE: <https://a.test/u>\n"
         "list-unsubscribe-post: list-unsubscribe=one-click\n",
         "joe@a.test", ""},
        {"", "joe@a.test", "list_unsubscribe one_click aligned_from one_from"},
        {FROM, "joe@a.test", "list_unsubscribe one_click"},
        {FROM LEAVE, "joe@a.test", "one_click"},
        {FROM POST, "joe@a.test", "list_unsubscribe one_click"},
        {FROM "List-Unsubscribe: <mailto:l@a.test>\n" POST, "joe@a.test", "one_click"},
        {FROM "List-Unsubscribe: l@a.test\n" POST, "joe@a.test", "list_unsubscribe one_click"},
        {FROM LEAVE LEAVE POST, "joe@a.test", "list_unsubscribe one_click"},
        {FROM LEAVE POST POST, "joe@a.test", "one_click"},
        {FROM LEAVE "List-Unsubscribe-Post: yes\n", "joe@a.test", "one_click"},
        {FROM FROM LEAVE POST, "joe@a.test", "aligned_from one_from"},
        {"From: joe@a.test, ann@a.test\n" LEAVE POST, "joe@a.test", "aligned_from one_from"},
        {"From: joe\n" FROM LEAVE POST, "joe@a.test", "aligned_from one_from"},
        {"Sender: joe@a.test\nReply-To: joe@a.test\nX-From: joe@a.test\n" LEAVE POST, "joe@a.test",
         "aligned_from one_from"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (strcmp(unmet(cases[i].header, cases[i].sender), cases[i].unmet) != 0)
            fail_msg("%s-> %s", cases[i].header, unmet(cases[i].header, cases[i].sender));
}

static void
test_alignment(void **state)
{
    static const struct {
        const char *from, *signer, *sender; /* signer: NULL, no signature */
        bool aligned;
    } cases[] = {
        {"a.test", NULL, "x@a.test", true},
        {"a.test", NULL, "x@A.TEST", true},
        {"a.test", NULL, "x@a.test.", true},
        {"news.a.test", NULL, "x@bounces.a.test", true},
        {"a.test", NULL, "x@very.deep.a.test", true},
        {"shop.example.co.uk", NULL, "x@mail.example.co.uk", true},
        {"a.test", NULL, "x@b.test", false},
        {"a.test", NULL, "x@nota.test", false},
        {"example.co.uk", NULL, "x@other.co.uk", false},
        {"one.github.io", NULL, "x@two.github.io", false},
        {"co.uk", NULL, "x@co.uk", true},
        {"co.uk", NULL, "x@example.co.uk", false},
        {"localhost", NULL, "x@localhost", true},
        {"a.test", NULL, "", false},
        {"a.test", NULL, "x", false},
        {"[192.0.2.1]", NULL, "x@[192.0.2.1]", false},
        {"a.test", "a.test", "", true},
        {"a.test", "b.test", "x@a.test", true},
        {"a.test", "mail.a.test", "x@esp.test", true},
        {"a.test", "b.test", "x@esp.test", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *header = mem_printf("From: joe@%s\n%s%s\n" LEAVE POST, cases[i].from,
                                  cases[i].signer != NULL ? "DKIM-Signature: v=1; d=" : "X: y",
                                  cases[i].signer != NULL ? cases[i].signer : "");

        if ((unmet(header, cases[i].sender)[0] == '\0') != cases[i].aligned)
            fail_msg("%s, signer %s, sender %s", cases[i].from, cases[i].signer, cases[i].sender);
        free(header);
    }
}

/* As many as are looked at: the last of them counts, the one behind it does not. */
static void
test_many_signatures(void **state)
{
    struct bulk bulk = {0};

    (void)state;
    bulk_header(&bulk, "From", "joe@a.test");
    for (int i = 1; i < BULK_SIGNATURES_MAX; i++)
        bulk_header(&bulk, "DKIM-Signature", i % 2 == 0 ? "d=b.test" : "d=");
    assert_int_equal(bulk_unmet(&bulk, REQUIRE_BIT(REQUIRE_ALIGNED_FROM), ""),
                     REQUIRE_BIT(REQUIRE_ALIGNED_FROM));
    bulk_header(&bulk, "DKIM-Signature", "d=a.test");
    assert_int_equal(bulk_unmet(&bulk, REQUIRE_BIT(REQUIRE_ALIGNED_FROM), ""), 0);
    strcpy(bulk.signers[BULK_SIGNATURES_MAX - 1], "b.test");
    for (int i = 0; i < 100; i++)
        bulk_header(&bulk, "DKIM-Signature", "d=a.test");
    assert_int_equal(bulk_unmet(&bulk, REQUIRE_BIT(REQUIRE_ALIGNED_FROM), ""),
                     REQUIRE_BIT(REQUIRE_ALIGNED_FROM));
}

/* Only what is required is judged, and the reply names the first. */
static void
test_replies(void **state)
{
    struct bulk bulk = {0};

    (void)state;
    assert_int_equal(bulk_unmet(&bulk, 0, "joe@a.test"), 0);
    assert_int_equal(bulk_unmet(&bulk, REQUIRE_BIT(REQUIRE_ONE_CLICK), "joe@a.test"),
                     REQUIRE_BIT(REQUIRE_ONE_CLICK));
    for (int i = 0; i < REQUIRE_COUNT; i++) {
        const char *reply = bulk_reply(REQUIRE_BIT(i) | REQUIRE_BIT(REQUIRE_ONE_FROM));
        const char *name = require_name((enum require)i);
        enum require found;

        assert_int_equal(strncmp(reply, name, strlen(name)), 0);
        assert_true(strlen(reply) < 200);
        assert_true(require_find(name, strlen(name), &found) && (int)found == i);
        assert_false(require_find(name, strlen(name) - 1, &found));
    }
    assert_string_equal(bulk_reply(REQUIRE_BIT(REQUIRE_LIST_UNSUBSCRIBE)),
                        "list_unsubscribe: bulk mail needs one List-Unsubscribe header with a URI "
                        "in <> (RFC 2369)");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_authors),   cmocka_unit_test(test_long_domains),
        cmocka_unit_test(test_uris),      cmocka_unit_test(test_one_click),
        cmocka_unit_test(test_signers),   cmocka_unit_test(test_headers),
        cmocka_unit_test(test_alignment), cmocka_unit_test(test_many_signatures),
        cmocka_unit_test(test_replies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
