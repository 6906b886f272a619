#include "dw_test.h"

#include "sha256.h"

static void expect(const void *bytes, size_t size_bytes, const char *hex) {
  unsigned char digest[DW_SHA256_BYTES];
  char text[65];
  dw_sha256_of(bytes, size_bytes, digest);
  for (int i = 0; i < 32; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
  CHECK_STR(text, hex);
}

// The examples of FIPS 180-4 and of NIST's SHA256ShortMsg.rsp.
static void test_vectors(void) {
  expect("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  expect("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  expect("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  expect("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrst"
         "nopqrstu",
         112, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
  expect("\xd3", 1, "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1");
  expect("\x11\xaf", 2, "5ca7133fa735326081558ac312c620eeca9970d1e70a4b95533d956f072d1f98");
}

static void test_million(void) {
  char *bytes = malloc(1000000);
  memset(bytes, 'a', 1000000);
  expect(bytes, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  free(bytes);
}

// Every length around the block size, cut at every place.
static void test_pieces(void) {
  unsigned char bytes[200], whole[DW_SHA256_BYTES], pieces[DW_SHA256_BYTES];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 37);
  for (size_t length = 0; length < sizeof bytes; length++) {
    dw_sha256_of(bytes, length, whole);
    for (size_t cut = 0; cut <= length; cut++) {
      dw_sha256 hash;
      dw_sha256_begin(&hash);
      dw_sha256_add(&hash, bytes, cut / 2);
      dw_sha256_add(&hash, bytes + cut / 2, cut - cut / 2);
      dw_sha256_add(&hash, bytes + cut, length - cut);
      dw_sha256_end(&hash, pieces);
      CHECK(memcmp(whole, pieces, sizeof whole) == 0);
    }
  }
}

static const dw_case cases[] = {
    {"vectors", "published examples", test_vectors},
    {"million", "a million times 'a'", test_million},
    {"pieces", "the same digest in pieces", test_pieces},
};
DW_TEST_MAIN(cases)
