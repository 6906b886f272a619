#include "dw_test.h"

#include "llama_program.h"
#include "program_text.h"

#include <math.h>
#include <time.h>

static dw_error error;

// ---- Valid --------------------------------------------------------------------------

#define ROWS "p 1 8; linear f32 8x32; linear f32 8x32 at=1024; "

static const struct {
  const char *name, *text;
} valid[] = {
    {"MatMul", "linear f32 8x32; model bf16 32x16; device f32 8x16; h1 f32 8x32; h2 bf16 32x16; h3 f32 8x16;"
               "MatMul 0 1 > 2"},
    {"MatMul of rows", "p 0 8; linear f32 8x32; model f16 16x32; h1 f32 p0x32; h2 f16 16x32; v1 f16 32x16 s1,32;"
                       "t f32 p0x16; MatMul 0 2 > 3"},
    {"MatMul with batches", "linear f32 2x3x4x5; linear f32 3x5x6 at=512; device f32 2x3x4x6; h1 f32 2x3x4x5;"
                            "h2 f32 3x5x6; h3 f32 2x3x4x6; MatMul 0 1 > 2"},
    {"MatMul that broadcasts", "p 1 4; linear f32 4x2x3; linear f32 1x3x5 at=256; device f32 4x2x5; h1 f32 p0x2x3;"
                               "h2 f32 1x3x5; h3 f32 p0x2x5; MatMul 0 1 > 2"},
    {"MatMul over a varying axis", "p 1 8; linear f32 4x8; linear f32 8x2 at=256; device f32 4x2;"
                                   "h1 f32 4xp0 s8,1; h2 f32 p0x2; h3 f32 4x2; MatMul 0 1 > 2"},
    {"MatMul that reads a matrix twice", "linear f32 4x4; device f32 4x4; h1 f32 4x4; v0 f32 4x4 s1,4; h2 f32 4x4;"
                                         "MatMul 0 1 > 2"},
    {"Add", ROWS "h1 f32 p0x32; h2 f32 p0x32; t f32 p0x32; Add 0 1 > 2"},
    {"Add in place", ROWS "h1 f32 p0x32; h2 f32 p0x32; Add 0 1 > 0"},
    {"Add to itself", ROWS "h1 f32 p0x32; Add 0 0 > 0"},
    {"Add in place through two tensors", ROWS "h1 f32 p0x32; h1 f32 p0x32; h2 f32 p0x32; Add 0 2 > 1"},
    {"Add in place through two handles", "linear f32 8; linear f32 8; h1 f32 8; h2 f32 8; Add 0 1 > 1"},
    {"Add in place, an axis of 1", "linear f32 1x8; h1 f32 1x8; v0 f32 1x8 s99,1; Add 0 0 > 1"},
    {"Sub of a row", "linear f32 8x32; linear bf16 32 at=1024; t f32 8x32; h1 f32 8x32; h2 bf16 32; Sub 1 2 > 0"},
    {"Mul of a column", "linear f32 8x32; linear f32 8x1 at=1024; t f16 8x32; h1 f32 8x32; h2 f32 8x1; Mul 1 2 > 0"},
    {"Div both ways", "linear f32 8x1; linear f32 32 at=1024; t f32 8x32; h1 f32 8x1; h2 f32 32; Div 1 2 > 0"},
    {"columns of one matrix", "linear f32 8x32; h1 f32 8x16 s32,1; h1 f32 8x16 s32,1 o16; Swish 0 > 1"},
    {"columns of rows", "p 0 4; p 0 4; linear f32 8x32; h1 f32 p0x16 s32,1 o32p1; h1 f32 p0x16 s32,1 o32p1+16;"
                        "Softmax 0 > 1 i0=1"},
    {"rows before rows", "p 1 4; linear f32 8x32; h1 f32 p0x32; h1 f32 p0x32 o32p0; Softmax 0 > 1 i0=-1"},
    {"RMSNormalization", ROWS "model bf16 32; h1 f32 p0x32; h3 bf16 32; h2 f32 p0x32;"
                              "RMSNormalization 0 1 > 2 f0=0.00001"},
    {"RotaryEmbedding", "p 1 8; linear f32 8x64; linear f32 100x8 at=4096; linear i32 8 at=8192; h1 f32 p0x64;"
                        "h2 f32 100x8; h3 i32 p0; t f32 p0x64; RotaryEmbedding 0 1 1 2 > 3 i0=4"},
    {"RotaryEmbedding, partial", "p 1 8; linear f32 8x64; linear f16 100x4 at=4096; linear i64 8 at=8192;"
                                 "h1 f32 1xp0x64; h2 f16 100x4; h3 i64 1xp0; device f32 8x64; h4 f32 1xp0x64;"
                                 "RotaryEmbedding 0 1 1 2 > 3 i0=4 i1=1 i2=8"},
    {"RotaryEmbedding of heads", "p 1 8; linear f32 8x64; linear f32 8x8 at=4096; h1 f32 1x4xp0x16 s512,16,64,1;"
                                 "h2 f32 p0x8; device f32 8x64; h3 f32 1x4xp0x16 s512,16,64,1;"
                                 "RotaryEmbedding 0 1 1 > 2"},
    {"Attention", "p 1 8; linear f32 8x64; linear f32 8x32 at=4096; linear f32 8x32 at=8192; cache f32 2x2x16x100;"
                  "h1 f32 p0x64; h2 f32 p0x32; h3 f32 p0x32; c4; t f32 p0x64;"
                  "Attention 0 1 2 _ 3 > 4 i0=4 i1=2 i2=1; Attention 0 1 2 _ 3 > 4 i0=4 i1=2 i2=1 i3=1 f0=0.5 f1=30"},
    {"Attention of one token", "linear f32 1x1x64; linear f32 1x1x32 at=4096; cache f16 1x2x16x100; h1 f32 1x1x64;"
                               "h2 f32 1x1x32; c3; t f32 1x1x64; Attention 0 1 1 _ 2 > 3 i0=4 i1=2 i2=1"},
    {"Attention of heads", "p 1 8; linear f32 8x64; linear f32 8x32 at=4096; cache f32 1x2x16x100;"
                           "h1 f32 1x4xp0x16 s512,16,64,1; h2 f32 1x2xp0x16 s256,16,32,1; c3; device f32 8x64;"
                           "h4 f32 1x4xp0x16 s512,16,64,1; Attention 0 1 1 _ 2 > 3 i0=4 i1=2 i2=1"},
    {"Gather", "p 1 8; model bf16 100x32; linear i32 8; h1 bf16 100x32; h2 i32 p0; t f32 p0x32; Gather 0 1 > 2"},
    {"Gather as it is", "model u8 100x3; linear i64 2x2; h1 u8 100x3; h2 i64 2x2; t u8 2x2x3; Gather 0 1 > 2"},
    {"Swish", ROWS "h1 f32 p0x32; Swish 0 > 0 f0=1.702"},
    {"Sigmoid", ROWS "h1 f32 p0x32; t f16 p0x32; Sigmoid 0 > 1"},
    {"Tanh", ROWS "h1 f32 p0x32; t bf16 p0x32; Tanh 0 > 1"},
    {"Gelu", ROWS "h1 f32 p0x32; t f32 p0x32; Gelu 0 > 1 i0=1"},
    {"Axpby", ROWS "h1 f32 p0x32; h2 f32 p0x32; Axpby 0 > 1 f0=2 f1=-1"},
    {"Softmax", ROWS "h1 f32 p0x32; t f32 p0x32; Softmax 0 > 1 i0=-1"},
    {"ArgMax", ROWS "h1 f32 p0x32; device i32 8; h3 i32 p0; ArgMax 0 > 1 i0=1"},
    {"ArgMax, axis kept", ROWS "h1 f32 p0x32; device i64 8; h3 i64 p0x1; ArgMax 0 > 1 i0=-1"},
    {"ArgMax of a vector", "linear f32 8; device i64 1; h1 f32 8; h2 i64 1; ArgMax 0 > 1"},
    {"TopK", ROWS "h1 f32 p0x32; t f32 p0x5; t i32 p0x5; TopK 0 > 1 2 i0=5"},
    {"Cast", ROWS "h1 f32 p0x32; t i32 p0x32; t f16 p0x32; Cast 0 > 1; Cast 1 > 2"},
    {"Identity", "linear u8 16; linear u8 16 at=256; h1 u8 16; h2 u8 16; Identity 0 > 1"},
    {"transposing copy", "linear f32 4x8; linear f32 8x4 at=256; h1 f32 8x4 s1,8; h2 f32 8x4; Identity 0 > 1"},
    {"overlapping windows are read", "linear f32 10; t f32 8x3; h1 f32 8x3 s1,1; Identity 1 > 0"},
    {"broadcast by stride 0", "linear f32 4; t f32 8x4; h1 f32 8x4 s0,1; Identity 1 > 0"},
    {"the last row", ROWS "h1 f32 1x32 o32p0-32; t f32 1x32; Identity 0 > 1"},
    {"the last row of a temp", ROWS "h1 f32 p0x32; t f32 p0x32; v1 f32 1x32 o32p0-32; t f32 1x32; Identity 0 > 1;"
                                    "Identity 2 > 3"},
    {"a view of a view", "p 0 3; p 0 3; linear f32 16x16; h1 f32 8x16 o16p0; v0 f32 4x4 s16,1 o16p0+3; t f32 4x4;"
                         "Identity 1 > 2"},
    {"a window that grows at both ends", "p 0 8; linear f32 16; h1 f32 2p0 o-p0+8; t f32 2p0; Identity 0 > 1"},
    {"a temp written permuted", "p 1 8; linear f32 4x8x4; h1 f32 4xp0x4 s32,4,1; t f32 p0x4x4; v1 f32 4xp0x4 s4,16,1;"
                                "Identity 0 > 2"},
    {"a temp written as its flattened rows", "p 1 8; linear f32 8x32; h1 f32 8p0x4; t f32 p0x32; v1 f32 8p0x4;"
                                             "Identity 0 > 2"},
    {"a temp nobody uses", ROWS "t f32 p0x32; h1 f32 p0x32; Swish 1 > 1"},
    {"nothing at all", "p 0 0; linear f32 4; h1 f32 p0; t f32 p0; Identity 0 > 1"},
    {"a parameter that is constant", "p 4 4; linear f32 8; h1 f32 p0; t f32 4; Identity 0 > 1"},
    {"an empty view at the end", "p 0 4; linear f32 4; h1 f32 -p0+4 op0; t f32 -p0+4; Identity 0 > 1"},
};

static void test_valid(void) {
  for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) {
    dw_program *program = NULL;
    dw_status status = program_text_new(valid[i].text, &program, &error);
    if (status != DW_OK) {
      fprintf(stderr, "    %s is refused: %s\n", valid[i].name, error.detail);
      exit(1);
    }
    CHECK(program != NULL);
    dw_program_free(program);
  }
  dw_program_free(NULL);
}

// ---- Invalid ------------------------------------------------------------------------

// What a MatMul needs, each piece replaceable.
#define MATMUL_HANDLES "p 1 8; linear f32 8x32; model bf16 32x16; device f32 8x16; "
#define ATTENTION_HANDLES                                                                                    \
  "p 1 8; linear f32 8x64; linear f32 8x32 at=4096; linear f32 8x32 at=8192; cache f32 2x2x16x100; "
#define ATTENTION_TENSORS "h1 f32 p0x64; h2 f32 p0x32; h3 f32 p0x32; c4; t f32 p0x64; "
#define ROTARY_HANDLES "p 1 8; linear f32 8x64; linear f32 100x8 at=4096; linear i32 8 at=8192; "

static const struct {
  const char *text;
  dw_status status;
  const char *first, *second;  // both are in the detail
} invalid[] = {
    // parameters
    {"p 2 1; t f32 4; Identity 0 > 0", DW_INVALID, "parameter 0", "minimum 2"},
    {"p 1 8; h1 f32 p1; Identity 0 > 0; linear f32 8", DW_INVALID, "tensor 0", "parameter 1 of 1"},
    {"p 1 8; h1 f32 8 op3; Identity 0 > 0; linear f32 8", DW_INVALID, "tensor 0", "offset names parameter 3"},
    // counts
    {"linear f32 8; h1 f32 8", DW_INVALID, "operator", "at least one"},
    // tensors
    {"h7 f32 8; Identity 0 > 0", DW_HANDLE, "handle 7", "stale"},
    {"h0 f32 8; Identity 0 > 0", DW_HANDLE, "handle 0", ""},
    {"linear f32 8; h1 q77 8; Identity 0 > 0", DW_INVALID, "tensor 0", "dtype 0"},
    {"linear f32 8; h1 f16 8; Identity 0 > 0", DW_INVALID, "tensor 0", "is F16, but its base is F32"},
    {"linear f32 8; h1 f32 8; v0 i32 8; Identity 0 > 1", DW_INVALID, "tensor 1", "is I32, but its base is F32"},
    {"linear f32 8; v0 f32 8; Identity 0 > 0", DW_INVALID, "tensor 0", "base 0 is not before it"},
    {"linear f32 8; v5 f32 8; Identity 0 > 0", DW_INVALID, "tensor 0", "base 5 is not before it"},
    {"cache f32 1x1x1x1; c1; v0 f32 1; Identity 1 > 1", DW_INVALID, "tensor 1", "a cache (tensor 0) has no views"},
    {"cache f32 1x1x1x1; h1 f32 1; Identity 0 > 0", DW_INVALID, "tensor 0", "a cache has rank 0"},
    {"p 0 8; linear f32 8; h1 f32 p0-1; Identity 0 > 0", DW_INVALID, "tensor 0", "dims[0] can be negative"},
    {"p 0 9; linear f32 8; h1 f32 -p0+8; Identity 0 > 0", DW_INVALID, "tensor 0", "dims[0] can be negative"},
    {"linear f32 8; h1 f32 -1; Identity 0 > 0", DW_INVALID, "tensor 0", "dims[0] can be negative"},
    {"linear f32 8; h1 f32 2147483648; Identity 0 > 0", DW_LIMIT, "tensor 0", "dims[0]"},
    {"p 0 4294967295; linear f32 8; h1 f32 p0; Identity 0 > 0", DW_LIMIT, "tensor 0", "dims[0]"},
    {"p 0 4294967295; linear f32 8; h1 f32 -2147483648p0+9223372036854775807; Identity 0 > 0", DW_LIMIT, "tensor 0",
     "dims[0]"},
    {"p 7 7; linear f32 8; h1 f32 2147483647p0+9223372036854775807; Identity 0 > 0", DW_LIMIT, "tensor 0", "dims[0]"},
    {"linear f32 8; h1 f32 1000000x1000000x1000000; Identity 0 > 0", DW_LIMIT, "tensor 0", "bytes"},
    {"linear f32 8; h1 f32 0x2147483647x2147483647x2147483647; Identity 0 > 0", DW_LIMIT, "tensor 0", "bytes"},
    {"linear f32 8; h1 f32 8 s18446744073709551615; Identity 0 > 0", DW_BOUNDS, "tensor 0", "strides[0]"},
    // bounds
    {"linear f32 8; h1 f32 9; Identity 0 > 0", DW_BOUNDS, "tensor 0", "1 elements behind"},
    {"linear f32 8; h1 f32 8 o1; Identity 0 > 0", DW_BOUNDS, "tensor 0", "1 elements behind"},
    {"linear f32 8; h1 f32 8 o-1; Identity 0 > 0", DW_BOUNDS, "tensor 0", "negative"},
    {"linear f32 8; h1 f32 1 o9223372036854775807; Identity 0 > 0", DW_BOUNDS, "tensor 0", "behind the end"},
    {"linear f32 8; h1 f32 1 o-9223372036854775808; Identity 0 > 0", DW_BOUNDS, "tensor 0", "negative"},
    {"linear f32 8; h1 f32 8 s2; Identity 0 > 0", DW_BOUNDS, "tensor 0", "7 elements behind"},
    {"p 1 9; linear f32 8; h1 f32 p0; Identity 0 > 0", DW_BOUNDS, "tensor 0", "1 elements behind"},
    {"p 0 8; linear f32 8; h1 f32 1 op0; Identity 0 > 0", DW_BOUNDS, "tensor 0", "1 elements behind"},
    {"p 0 8; linear f32 8; h1 f32 1 op0-1; Identity 0 > 0", DW_BOUNDS, "tensor 0", "negative"},
    {"p 0 9; linear f32 8; h1 f32 -p0+9 op0-1; Identity 0 > 0", DW_BOUNDS, "tensor 0", "negative"},
    {"p 1 4; p 1 4; linear f32 7; h1 f32 p0 op1; Identity 0 > 0", DW_BOUNDS, "tensor 0", "1 elements behind"},
    {"p 1 4; linear f32 4x4; h1 f32 4x4 o4p0-3; Identity 0 > 0", DW_BOUNDS, "tensor 0", "13 elements behind"},
    {"p 0 4; linear f32 4; h1 f32 p0 o100; Identity 0 > 0", DW_BOUNDS, "tensor 0", "offset can be 100 of 4"},
    {"p 0 1; linear f32 4; h1 f32 p0x1 s1099511627776,1 o1099511627776; Identity 0 > 0", DW_BOUNDS, "tensor 0",
     "offset can be"},
    {"p 1 4; linear f32 16; h1 f32 8 op0; v0 f32 8 op0+1; Identity 1 > 1", DW_BOUNDS, "tensor 1", "1 elements behind"},
    {"p 1 4; p 1 4; linear f32 16; h1 f32 8 op0; v0 f32 2 op1; Identity 1 > 1", DW_INVALID, "tensor 1", "do not add"},
    {"linear f32 16; h1 f32 8 o1; v0 f32 2 o9223372036854775807; Identity 1 > 1", DW_INVALID, "tensor 1", "do not add"},
    {"p 0 1; linear f32 16; h1 f32 8 o2147483647p0-5; Identity 0 > 0", DW_BOUNDS, "tensor 0", "negative"},
    // temps
    {"t f32 4; Identity 0 > 0", DW_INVALID, "op 0 Identity: X (tensor 0)", "nothing has written"},
    {ROWS "t f32 p0x32; h1 f32 p0x32; Add 1 0 > 1", DW_INVALID, "op 0 Add: B (tensor 0)", "nothing has written"},
    {ROWS "t f32 32xp0; h1 f32 p0x32; Identity 1 > 1", DW_INVALID, "tensor 0", "varies in dims[0] only"},
    {ROWS "t f32 8x4 s8,1; h1 f32 p0x32; Identity 1 > 1", DW_INVALID, "tensor 0", "dense"},
    {ROWS "t f32 8x4 o4; h1 f32 p0x32; Identity 1 > 1", DW_INVALID, "tensor 0", "no offset"},
    {ROWS "t9 f32 8x4; h1 f32 p0x32; Identity 1 > 1", DW_INVALID, "tensor 0", "base of a temp"},
    {ROWS "t f32 8x32; v0 f32 p0x32; h1 f32 p0x32; Identity 2 > 1", DW_INVALID, "op 0 Identity: Y (tensor 1)",
     "not all of it"},
    {ROWS "t f32 2p0x32; v0 f32 p0x32; h1 f32 p0x32; Identity 2 > 1", DW_INVALID, "op 0 Identity: Y", "not all of it"},
    {ROWS "t f32 p0x32; v0 f32 p0x32 o0; h1 f32 p0x32; v0 f32 1x32 o224; Identity 2 > 1", DW_BOUNDS, "tensor 3",
     "its temp"},
    {ROWS "t f32 p0x32; v0 f32 8x32; h1 f32 p0x32; Identity 2 > 0", DW_BOUNDS, "tensor 1", "224 elements behind"},
    {ROWS "t f32 p0x32; v0 f32 1x32 o32p0; h1 f32 p0x32; Identity 2 > 0", DW_BOUNDS, "tensor 1", "temp"},
    {"p 1 8; p 1 8; linear f32 8x8; t f32 p0x8; h1 f32 p1x8; v0 f32 p1x8; Identity 1 > 0", DW_BOUNDS, "tensor 2",
     "temp"},
    {"t f32 1000000x1000; v0 f32 1; linear f32 1000000000; h1 f32 1000000x1000; Identity 2 > 0; t f32 1000000x1000;"
     "Identity 0 > 3", DW_LIMIT, "scratch", "op 1"},
    {"model f32 2000000000; t f32 2000000000; h1 f32 2000000000; Swish 1 > 0", DW_LIMIT, "temp", "op 0"},
    // operators as such
    {ROWS "h1 f32 p0x32; op77 0 > 0", DW_UNSUPPORTED, "op 0", "no operator 77"},
    {ROWS "h1 f32 p0x32; Swish 0 > 0; op0 0 > 0", DW_UNSUPPORTED, "op 1", "no operator 0"},
    {ROWS "h1 f32 p0x32; op4294967295 0 > 0", DW_UNSUPPORTED, "op 0", "no operator"},
    {ROWS "h1 f32 p0x32; Swish 0 > 0 r=1", DW_INVALID, "op 0 Swish", "reserved"},
    {ROWS "h1 f32 p0x32; Swish 0 > 0 i0=1", DW_INVALID, "op 0 Swish", "attribute i0"},
    {ROWS "h1 f32 p0x32; Sigmoid 0 > 0 f0=1", DW_INVALID, "op 0 Sigmoid", "attribute f0"},
    {ROWS "h1 f32 p0x32; Axpby 0 > 0 f0=nan", DW_INVALID, "op 0 Axpby", "not finite"},
    {ROWS "h1 f32 p0x32; Axpby 0 > 0 f1=inf", DW_INVALID, "op 0 Axpby", "not finite"},
    {ROWS "h1 f32 p0x32; Tanh 0 > 0 f1=nan", DW_INVALID, "op 0 Tanh", "not finite"},
    {ROWS "h1 f32 p0x32; Add 0 > 0", DW_INVALID, "op 0 Add", "B is left out"},
    {ROWS "h1 f32 p0x32; Add _ 0 > 0", DW_INVALID, "op 0 Add", "A is left out"},
    {ROWS "h1 f32 p0x32; Swish 0 >", DW_INVALID, "op 0 Swish", "Y is left out"},
    {ROWS "h1 f32 p0x32; Swish 0 0 > 0", DW_INVALID, "op 0 Swish", "takes no input 1"},
    {ROWS "h1 f32 p0x32; Swish 0 > 0 0", DW_INVALID, "op 0 Swish", "has no output 1"},
    {ROWS "h1 f32 p0x32; Swish 1 > 0", DW_INVALID, "op 0 Swish", "X is tensor 1 of 1"},
    {ROWS "h1 f32 p0x32; Swish 0 > 4294967294", DW_INVALID, "op 0 Swish", "Y is tensor 4294967294"},
    {"cache f32 1x1x1x1; linear f32 8; c1; h2 f32 8; Add 1 0 > 1", DW_INVALID, "op 0 Add", "B (tensor 0) is a cache"},
    {"cache f32 1x1x1x1; linear f32 8; c1; h2 f32 8; Swish 1 > 0", DW_INVALID, "op 0 Swish", "Y (tensor 0) is a cache"},
    // memory
    {"model f32 8; linear f32 8; h1 f32 8; h2 f32 8; Swish 1 > 0", DW_READONLY, "op 0 Swish: Y (tensor 0)", "model"},
    {"device f32 8 sealed; linear f32 8; h1 f32 8; h2 f32 8; Swish 1 > 0", DW_READONLY, "op 0 Swish: Y (tensor 0)",
     "sealed"},
    {"linear f32 8; h1 f32 4; v0 f32 4 o2; Swish 0 > 1", DW_INVALID, "op 0 Swish: Y (tensor 1)", "shares bytes with X"},
    {"linear f32 8; linear f32 8 at=16; h1 f32 8; h2 f32 8; Swish 0 > 1", DW_INVALID, "op 0 Swish: Y (tensor 1)",
     "shares bytes with X (tensor 0)"},
    {"device f32 8; device f32 8 same=1; h1 f32 8; h2 f32 8; Softmax 0 > 1", DW_INVALID, "op 0 Softmax: output",
     "shares bytes with input"},
    {"linear f32 8; linear f16 8; h1 f32 8; h2 f16 8; Cast 0 > 1", DW_INVALID, "op 0 Cast: Y", "shares bytes with X"},
    {ROWS "h1 f32 p0x32; Softmax 0 > 0 i0=1", DW_INVALID, "op 0 Softmax: output", "shares bytes with input"},
    {"linear f32 4x4; h1 f32 4x4; v0 f32 4x4 s1,4; Identity 0 > 1", DW_INVALID, "op 0 Identity: Y", "shares bytes"},
    {"linear f32 1x8; linear f32 8; h1 f32 1x8; v0 f32 8; h2 f32 1x8; Add 0 1 > 2", DW_INVALID, "op 0 Add: C",
     "shares bytes with B"},
    {"p 0 4; linear f32 8; h1 f32 4; h1 f32 4 op0; Swish 0 > 1", DW_INVALID, "op 0 Swish: Y", "shares bytes with X"},
    {"linear f32 8x32; h1 f32 8x16 s32,1; h1 f32 8x16 s32,1 o15; Swish 0 > 1", DW_INVALID, "op 0 Swish: Y", "shares"},
    {"p 0 1; linear f32 9x32; h1 f32 8x16 s32,1; h1 f32 8x16 s32,1 op0+16; Swish 0 > 1", DW_INVALID,
     "op 0 Swish: Y", "shares"},
    {"linear f32 8; linear f32 8 at=256; h1 f32 4x2 s2,0; h2 f32 4x2; Swish 1 > 0", DW_INVALID, "op 0 Swish: Y",
     "overlaps itself"},
    {"linear f32 8; linear f32 12 at=256; h1 f32 4x3 s1,1; h2 f32 4x3; Swish 1 > 0", DW_INVALID, "op 0 Swish: Y",
     "overlaps itself"},
    {ROWS "h1 f32 p0x32; device i32 8x5; h3 i32 p0x5; h3 i32 p0x5; h2 f32 p0x5; TopK 0 > 3 1 i0=5; ArgMax 3 > 4",
     DW_INVALID, "op 1 ArgMax", ""},
    {"linear f32 8; linear f32 4 at=256; linear i32 4 at=256; h1 f32 8; h2 f32 4; h3 i32 4; TopK 0 > 1 2 i0=4",
     DW_INVALID, "op 0 TopK: Indices (tensor 2)", "shares bytes with Values"},
    // MatMul
    {MATMUL_HANDLES "h1 f32 p0x32; h2 bf16 32x16; h3 f32 7x16; MatMul 0 1 > 2", DW_INVALID, "op 0 MatMul: Y (tensor 2)",
     "dims[0] = 7, not p0"},
    {MATMUL_HANDLES "h1 f32 p0x32; h2 bf16 32x16; h3 f32 p0x15; MatMul 0 1 > 2", DW_INVALID, "op 0 MatMul: Y",
     "dims[1] = 15, not 16"},
    {MATMUL_HANDLES "h1 f32 p0x32; h2 bf16 16x32; h3 f32 p0x16; MatMul 0 1 > 2", DW_INVALID, "op 0 MatMul: B (tensor 1)",
     "dims[0] = 16, not 32"},
    {MATMUL_HANDLES "h1 f32 p0x16; h2 bf16 32x16; h3 f32 p0x16; MatMul 0 1 > 2", DW_INVALID, "op 0 MatMul: B", ""},
    {MATMUL_HANDLES "h1 f32 p0x32; h2 bf16 512; h3 f32 p0x16; MatMul 0 1 > 2", DW_INVALID, "op 0 MatMul: B", "rank 1"},
    {MATMUL_HANDLES "h1 f32 32; h2 bf16 32x16; h3 f32 16; MatMul 0 1 > 2", DW_INVALID, "op 0 MatMul: A", "rank 1"},
    {MATMUL_HANDLES "h1 f32 p0x32; h2 bf16 32x16; h3 f32 1xp0x16; MatMul 0 1 > 2", DW_INVALID, "op 0 MatMul: Y",
     "rank 3, not 2"},
    {MATMUL_HANDLES "h1 f32 p0x32; h2 bf16 32x16; h2 bf16 8x16; MatMul 1 1 > 2", DW_INVALID, "op 0 MatMul: A (tensor 1)",
     "is BF16, not F32"},
    {"linear i32 4x4; linear f32 4x4 at=256; t f32 4x4; h1 i32 4x4; h2 f32 4x4; MatMul 2 1 > 0", DW_INVALID,
     "op 0 MatMul: B (tensor 1)", "is I32"},
    {"linear f32 2x4x4; linear f32 3x4x4 at=4096; t f32 2x4x4; h1 f32 2x4x4; h2 f32 3x4x4; MatMul 1 2 > 0",
     DW_INVALID, "op 0 MatMul", "do not broadcast: dimension 3 from the end is 2 and 3"},
    {"p 1 2; linear f32 2x4x4; linear f32 2x4x4 at=4096; t f32 2x4x4; h1 f32 p0x4x4; h2 f32 2x4x4; MatMul 1 2 > 0",
     DW_INVALID, "op 0 MatMul", "do not broadcast: dimension 3 from the end is p0 and 2"},
    {"p 2 8; p 2 8; linear f32 8x8; linear f32 8x8 at=4096; device f32 8x8; h1 f32 4xp0; h2 f32 p1x4; h3 f32 4x4;"
     "MatMul 0 1 > 2", DW_INVALID, "op 0 MatMul: B", "dims[0] = p1, not p0"},
    // elementwise
    {ROWS "h1 f32 p0x32; h2 f32 8x32; Add 0 1 > 0", DW_INVALID, "op 0 Add", "p0 and 8"},
    {ROWS "h1 f32 8x32; h2 f32 8x16; t f32 8x32; Mul 0 1 > 2", DW_INVALID, "op 0 Mul", "do not broadcast"},
    {ROWS "h1 f32 8x32; h2 f32 8x32; t f32 8x16; Sub 0 1 > 2", DW_INVALID, "op 0 Sub: C", "dims[1] = 16, not 32"},
    {ROWS "h1 f32 1x32; h2 f32 1x32; t f32 8x32; Div 0 1 > 2", DW_INVALID, "op 0 Div: C", "dims[0] = 8, not 1"},
    {ROWS "linear i32 8x32 at=4096; h1 f32 8x32; h3 i32 8x32; Add 0 1 > 0", DW_INVALID, "op 0 Add: B", "is I32"},
    {ROWS "linear i32 8x32 at=4096; h1 f32 8x32; h3 i32 8x32; Add 0 0 > 1", DW_INVALID, "op 0 Add: C", "is I32"},
    {ROWS "h1 f32 p0x32; t f32 8x32; Swish 0 > 1", DW_INVALID, "op 0 Swish: Y", "dims[0] = 8, not p0"},
    {ROWS "h1 f32 p0x32; t f32 p0x4x8; Tanh 0 > 1", DW_INVALID, "op 0 Tanh: Y", "rank 3, not 2"},
    {ROWS "h1 f32 p0x32; t i32 p0x32; Gelu 0 > 1", DW_INVALID, "op 0 Gelu: Y", "is I32"},
    {ROWS "h1 f32 p0x32; Gelu 0 > 0 i0=2", DW_INVALID, "op 0 Gelu", "approximate is 2"},
    {ROWS "h1 f32 p0x32; t f16 p0x32; Identity 0 > 1", DW_INVALID, "op 0 Identity: Y", "is F16, not F32"},
    {ROWS "h1 f32 p0x32; t u8 p0x32; Cast 0 > 1", DW_INVALID, "op 0 Cast: Y", "is U8"},
    {"linear u64 8; t f32 8; h1 u64 8; Cast 1 > 0", DW_INVALID, "op 0 Cast: X", "is U64"},
    // rows
    {ROWS "model f32 32; h1 f32 p0x32; h3 f32 16; t f32 p0x32; RMSNormalization 0 1 > 2", DW_INVALID,
     "op 0 RMSNormalization: scale (tensor 1)", "16, not 32"},
    {ROWS "model f32 32; h1 f32 p0x32; h3 f32 1x32; t f32 p0x32; RMSNormalization 0 1 > 2", DW_INVALID,
     "op 0 RMSNormalization: scale", "rank 2, not 1"},
    {ROWS "model i32 32; h1 f32 p0x32; h3 i32 32; t f32 p0x32; RMSNormalization 0 1 > 2", DW_INVALID,
     "op 0 RMSNormalization: scale", "is I32"},
    {ROWS "model f32 32; h1 f32 p0x32; h3 f32 32; t f32 p0x32; RMSNormalization 0 1 > 2 f0=-1", DW_INVALID,
     "op 0 RMSNormalization", "epsilon"},
    {ROWS "model f32 32; h1 f32 p0x32; h3 f32 32; RMSNormalization 0 1 > 0", DW_INVALID, "op 0 RMSNormalization: Y",
     "shares bytes with X"},
    {ROWS "h1 f32 p0x32; t f32 p0x32; Softmax 0 > 1 i0=0", DW_INVALID, "op 0 Softmax", "axis 0 of input"},
    {ROWS "h1 f32 p0x32; t f32 p0x32; Softmax 0 > 1 i0=2", DW_INVALID, "op 0 Softmax", "axis 2"},
    {ROWS "h1 f32 p0x32; t i32 p0; ArgMax 0 > 1 i0=0", DW_INVALID, "op 0 ArgMax", "axis 0 of data"},
    {ROWS "h1 f32 p0x32; t f32 p0; ArgMax 0 > 1 i0=1", DW_INVALID, "op 0 ArgMax: reduced", "is F32"},
    {ROWS "h1 f32 p0x32; t i32 8; ArgMax 0 > 1 i0=1", DW_INVALID, "op 0 ArgMax: reduced", "dims[0] = 8, not p0"},
    {ROWS "h1 f32 p0x32; t i32 p0x2; ArgMax 0 > 1 i0=1", DW_INVALID, "op 0 ArgMax: reduced", "dims[1] = 2, not 1"},
    {ROWS "h1 f32 p0x32; t i32 p0x1x1; ArgMax 0 > 1 i0=1", DW_INVALID, "op 0 ArgMax: reduced", "rank 3"},
    {"p 0 8; linear f32 8x8; h1 f32 8xp0; t i32 8; ArgMax 0 > 1 i0=1", DW_INVALID, "op 0 ArgMax: data", "empty"},
    {ROWS "h1 f32 p0x32; t f32 p0x33; t i32 p0x33; TopK 0 > 1 2 i0=33", DW_INVALID, "op 0 TopK", "k is 33"},
    {ROWS "h1 f32 p0x32; t f32 p0x1; t i32 p0x1; TopK 0 > 1 2 i0=0", DW_INVALID, "op 0 TopK", "k is 0"},
    {ROWS "h1 f32 p0x32; t f32 p0x1; t i32 p0x1; TopK 0 > 1 2 i0=-1", DW_INVALID, "op 0 TopK", "k is -1"},
    {ROWS "h1 f32 p0x32; t f32 p0x4; t i32 p0x5; TopK 0 > 1 2 i0=5", DW_INVALID, "op 0 TopK: Values", "4, not 5"},
    {ROWS "h1 f32 p0x32; t f32 p0x5; t i32 p0x4; TopK 0 > 1 2 i0=5", DW_INVALID, "op 0 TopK: Indices", "4, not 5"},
    {ROWS "h1 f32 p0x32; t f32 p0x5; t f32 p0x5; TopK 0 > 1 2 i0=5", DW_INVALID, "op 0 TopK: Indices", "is F32"},
    {ROWS "h1 f32 p0x32; t f32 p0x5; TopK 0 > 1 i0=5", DW_INVALID, "op 0 TopK", "Indices is left out"},
    {"p 1 4; linear f32 4x4; h1 f32 4xp0 s4,1; t f32 4x2; t i32 4x2; TopK 0 > 1 2 i0=2", DW_INVALID, "op 0 TopK",
     "k is 2"},
    // Gather
    {"model f32 9x4; linear f32 8; h1 f32 9x4; h2 f32 8; t f32 8x4; Gather 0 1 > 2", DW_INVALID,
     "op 0 Gather: indices (tensor 1)", "is F32"},
    {"model f32 9x4; linear i32 8; h1 f32 9x4; h2 i32 8; t f32 9x4; Gather 0 1 > 2", DW_INVALID,
     "op 0 Gather: output (tensor 2)", "9, not 8"},
    {"model f32 9x4; linear i32 8; h1 f32 9x4; h2 i32 8; t f32 8x5; Gather 0 1 > 2", DW_INVALID,
     "op 0 Gather: output (tensor 2)", "5, not 4"},
    {"model f32 9x4; linear i32 8; h1 f32 9x4; h2 i32 8; t f16 8x4; Gather 0 1 > 2", DW_INVALID,
     "op 0 Gather: output (tensor 2)", "is F16"},
    {"model i32 9x4; linear i32 8; h1 i32 9x4; h2 i32 8; t f32 8x4; Gather 0 1 > 2", DW_INVALID,
     "op 0 Gather: output (tensor 2)", "is F32, not I32"},
    {"model f32 9x4x2x2; linear i32 2x2; h1 f32 9x4x2x2; h2 i32 2x2; t f32 2x2x4x4; Gather 0 1 > 2", DW_INVALID,
     "op 0 Gather: output (tensor 2)", "rank"},
    {"model f32 0x4; linear i32 8; h1 f32 0x4; h2 i32 8; t f32 8x4; Gather 0 1 > 2", DW_INVALID, "op 0 Gather: data",
     "no row"},
    // RotaryEmbedding
    {ROTARY_HANDLES "h1 f32 p0x64; h2 f32 100x8; h3 i32 p0; t f32 p0x64; RotaryEmbedding 0 1 1 2 > 3", DW_INVALID,
     "op 0 RotaryEmbedding: X", "0 heads"},
    {ROTARY_HANDLES "h1 f32 p0x64; h2 f32 100x8; h3 i32 p0; t f32 p0x64; RotaryEmbedding 0 1 1 2 > 3 i0=-4",
     DW_INVALID, "op 0 RotaryEmbedding", "num_heads is -4"},
    {ROTARY_HANDLES "h1 f32 p0x64; h2 f32 100x8; h3 i32 p0; t f32 p0x64; RotaryEmbedding 0 1 1 2 > 3 i0=3", DW_INVALID,
     "op 0 RotaryEmbedding: X", "64 columns"},
    {ROTARY_HANDLES "h1 f32 p0x64; h2 f32 100x8; h3 i32 p0; t f32 p0x64; RotaryEmbedding 0 1 1 2 > 3 i0=8", DW_INVALID,
     "op 0 RotaryEmbedding: cos_cache", "dims[1] = 8, not 4"},
    {ROTARY_HANDLES "h1 f32 p0x64; h2 f32 100x8; h3 i32 p0; t f32 p0x64; RotaryEmbedding 0 1 1 2 > 3 i0=64",
     DW_INVALID, "op 0 RotaryEmbedding", "rotary_embedding_dim is 1"},
    {ROTARY_HANDLES "h1 f32 p0x64; h2 f32 100x8; h3 i32 p0; t f32 p0x64; RotaryEmbedding 0 1 1 2 > 3 i0=4 i2=17",
     DW_INVALID, "op 0 RotaryEmbedding", "rotary_embedding_dim is 17"},
    {ROTARY_HANDLES "h1 f32 p0x64; h2 f32 100x8; h3 i32 p0; t f32 p0x64; RotaryEmbedding 0 1 1 2 > 3 i0=4 i2=-2",
     DW_INVALID, "op 0 RotaryEmbedding", "rotary_embedding_dim is -2"},
    {ROTARY_HANDLES "h1 f32 p0x64; h2 f32 100x8; h3 i32 p0; t f32 p0x64; RotaryEmbedding 0 1 1 2 > 3 i0=4 i1=2",
     DW_INVALID, "op 0 RotaryEmbedding", "interleaved is 2"},
    {ROTARY_HANDLES "h1 f32 p0x64; h2 f32 100x8; h3 i32 8; t f32 p0x64; RotaryEmbedding 0 1 1 2 > 3 i0=4", DW_INVALID,
     "op 0 RotaryEmbedding: position_ids (tensor 2)", "8, not p0"},
    {ROTARY_HANDLES "h1 f32 p0x64; h2 f32 100x8; h3 i32 p0; t f32 p0x32; RotaryEmbedding 0 1 1 2 > 3 i0=4", DW_INVALID,
     "op 0 RotaryEmbedding: Y (tensor 3)", "32, not 64"},
    {ROTARY_HANDLES "h1 f32 p0x64; h2 f32 100x8; h2 f32 99x8; h3 i32 p0; t f32 p0x64;"
                    "RotaryEmbedding 0 1 2 3 > 4 i0=4", DW_INVALID, "op 0 RotaryEmbedding: sin_cache (tensor 2)", "99"},
    {ROTARY_HANDLES "h1 f32 p0x64; h2 f32 100x8; t f32 p0x64; RotaryEmbedding 0 1 1 > 2 i0=4", DW_INVALID,
     "op 0 RotaryEmbedding: cos_cache (tensor 1)", "100, not p0"},
    {ROTARY_HANDLES "h1 f32 2x4x64; h2 f32 100x8; h3 i32 p0; t f32 2x4x64; RotaryEmbedding 0 1 1 2 > 3 i0=4",
     DW_INVALID, "op 0 RotaryEmbedding: X", "dims[0] = 2, not 1"},
    {ROTARY_HANDLES "h1 f32 64; h2 f32 100x8; h3 i32 1; t f32 64; RotaryEmbedding 0 1 1 2 > 3 i0=4",
     DW_INVALID, "op 0 RotaryEmbedding: X", "rank 1"},
    {ROTARY_HANDLES "h1 f32 4xp0; h2 f32 100x8; h3 i32 4; device f32 4x8; h4 f32 4xp0;"
                    "RotaryEmbedding 0 1 1 2 > 3 i0=4", DW_INVALID, "op 0 RotaryEmbedding: X", "varies"},
    // Attention
    {ATTENTION_HANDLES ATTENTION_TENSORS "Attention 0 1 2 3 > 4 i0=4 i1=2 i2=1", DW_INVALID, "op 0 Attention",
     "takes no input 3"},
    {ATTENTION_HANDLES ATTENTION_TENSORS "Attention 0 1 2 > 4 i0=4 i1=2 i2=1", DW_INVALID, "op 0 Attention",
     "past is left out"},
    {ATTENTION_HANDLES ATTENTION_TENSORS "Attention 0 1 2 _ 1 > 4 i0=4 i1=2 i2=1", DW_INVALID, "op 0 Attention",
     "past (tensor 1) is no cache"},
    {ATTENTION_HANDLES ATTENTION_TENSORS "Attention 0 1 2 _ 3 > 4 i0=4 i1=2", DW_INVALID, "op 0 Attention", "is_causal"},
    {ATTENTION_HANDLES ATTENTION_TENSORS "Attention 0 1 2 _ 3 > 4 i0=4 i1=3 i2=1", DW_INVALID, "op 0 Attention",
     "q_num_heads 4"},
    {ATTENTION_HANDLES ATTENTION_TENSORS "Attention 0 1 2 _ 3 > 4 i0=4 i2=1", DW_INVALID, "op 0 Attention",
     "kv_num_heads 0"},
    {ATTENTION_HANDLES ATTENTION_TENSORS "Attention 0 1 2 _ 3 > 4 i0=-4 i1=-2 i2=1", DW_INVALID, "op 0 Attention",
     "q_num_heads -4"},
    {ATTENTION_HANDLES ATTENTION_TENSORS "Attention 0 1 2 _ 3 > 4 i0=8 i1=2 i2=1", DW_INVALID, "op 0 Attention",
     "K (tensor 1) has heads of 16, Q of 8"},
    {ATTENTION_HANDLES ATTENTION_TENSORS "Attention 0 1 2 _ 3 > 4 i0=8 i1=4 i2=1", DW_INVALID, "op 0 Attention",
     "past (tensor 3) holds 2 heads of 16"},
    {ATTENTION_HANDLES ATTENTION_TENSORS "Attention 0 1 2 _ 3 > 4 i0=4 i1=2 i2=1 i3=2", DW_INVALID, "op 0 Attention",
     "layer 2 of past"},
    {ATTENTION_HANDLES ATTENTION_TENSORS "Attention 0 1 2 _ 3 > 4 i0=4 i1=2 i2=1 i3=-1", DW_INVALID, "op 0 Attention",
     "layer -1 of past"},
    {ATTENTION_HANDLES ATTENTION_TENSORS "Attention 0 1 2 _ 3 > 4 i0=4 i1=2 i2=1 f1=-1", DW_INVALID, "op 0 Attention",
     "softcap"},
    {ATTENTION_HANDLES ATTENTION_TENSORS
     "Attention 0 1 2 _ 3 > 4 i0=4 i1=2 i2=1; Attention 0 1 2 _ 3 > 4 i0=4 i1=2 i2=1",
     DW_INVALID, "op 1 Attention", "layer 0 of past (tensor 3) was attended to before"},
    {ATTENTION_HANDLES ATTENTION_TENSORS "h1 f32 1x64; h2 f32 1x32; t f32 1x64;"
     "Attention 0 1 2 _ 3 > 4 i0=4 i1=2 i2=1; Attention 5 6 6 _ 3 > 7 i0=4 i1=2 i2=1 i3=1",
     DW_INVALID, "op 1 Attention", "K appends 1 rows, but an earlier Attention over this cache p0"},
    {ATTENTION_HANDLES "h1 f32 p0x64; h2 f32 8x32; h3 f32 p0x32; c4; t f32 p0x64;"
     "Attention 0 1 2 _ 3 > 4 i0=4 i1=2 i2=1", DW_INVALID, "op 0 Attention: K (tensor 1)", "8, not p0"},
    {ATTENTION_HANDLES "h1 f32 p0x64; h2 f32 p0x32; h3 f32 p0x16; c4; t f32 p0x64;"
     "Attention 0 1 2 _ 3 > 4 i0=4 i1=2 i2=1", DW_INVALID, "op 0 Attention: V (tensor 2)", "16, not 32"},
    {ATTENTION_HANDLES "h1 f32 p0x64; h2 f32 1xp0x32; h3 f32 p0x32; c4; t f32 p0x64;"
     "Attention 0 1 2 _ 3 > 4 i0=4 i1=2 i2=1", DW_INVALID, "op 0 Attention: K (tensor 1)", "rank 3, not 2"},
    {ATTENTION_HANDLES "h1 f32 p0x64; h2 f32 p0x32; h3 f32 p0x32; c4; t f32 p0x32;"
     "Attention 0 1 2 _ 3 > 4 i0=4 i1=2 i2=1", DW_INVALID, "op 0 Attention: Y (tensor 4)", "32, not 64"},
    {ATTENTION_HANDLES "h1 f32 p0x64; h2 f32 p0x32; h3 f32 p0x32; c4;"
     "Attention 0 1 2 _ 3 > 0 i0=4 i1=2 i2=1", DW_INVALID, "op 0 Attention: Y (tensor 0)", "shares bytes with Q"},
    {"p 1 8; linear f32 8x64; linear f32 8x32 at=4096; linear f32 8x32 at=8192; cache f32 2x2x16x100 sealed;"
     ATTENTION_TENSORS "Attention 0 1 2 _ 3 > 4 i0=4 i1=2 i2=1", DW_READONLY, "op 0 Attention: past", "sealed"},
    {ATTENTION_HANDLES "cache f32 2x2x16x100 same=4;" ATTENTION_TENSORS "c5;"
     "Attention 0 1 2 _ 3 > 4 i0=4 i1=2 i2=1; Attention 0 1 2 _ 5 > 4 i0=4 i1=2 i2=1 i3=1", DW_INVALID, "two handles",
     "cache"},
};

static void test_invalid(void) {
  int wrong = 0;
  for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
    dw_program *program = (dw_program *)&error;
    memset(&error, 0, sizeof error);
    dw_status status = program_text_new(invalid[i].text, &program, &error);
    bool as_expected = status == invalid[i].status && error.code == status && program == NULL &&
                       strstr(error.detail, invalid[i].first) && strstr(error.detail, invalid[i].second);
    if (as_expected) continue;
    fprintf(stderr, "    %s\n    is %d \"%s\", expected %d with \"%s\" and \"%s\"\n", invalid[i].text, status,
            error.detail, invalid[i].status, invalid[i].first, invalid[i].second);
    wrong++;
  }
  CHECK_EQ(wrong, 0);
}

// ---- Counts ---------------------------------------------------------------------------

static dw_status never(void *user, dw_handle handle, dw_slot *slot, dw_error *words) {
  (void)user, (void)handle, (void)slot;
  return dw_fail(words, DW_HANDLE, "none");
}

static void test_counts(void) {
  dw_program *program;
  dw_program_source source = {.tensor_count = DW_MAX_PROGRAM_TENSORS + 1, .op_count = 1};
  CHECK_STATUS(dw_program_new(&source, never, NULL, &program, &error), DW_LIMIT, &error);
  source = (dw_program_source){.tensor_count = 1, .op_count = DW_MAX_PROGRAM_OPS + 1};
  CHECK_STATUS(dw_program_new(&source, never, NULL, &program, &error), DW_LIMIT, &error);
  source = (dw_program_source){.tensor_count = 1, .op_count = 1, .param_count = DW_MAX_PROGRAM_PARAMS + 1};
  CHECK_STATUS(dw_program_new(&source, never, NULL, &program, &error), DW_LIMIT, &error);
  source = (dw_program_source){.tensor_count = UINT32_MAX, .op_count = UINT32_MAX, .param_count = UINT32_MAX};
  CHECK_STATUS(dw_program_new(&source, never, NULL, &program, NULL), DW_LIMIT, &error);
}

// Bits that text cannot say.
static void test_records(void) {
  const char *words = "p 1 8; linear f32 8x32; h1 f32 p0x32; t f32 p0x32; Swish 0 > 1";
  program_text text;
  dw_program *program;
  for (int bit = 0; bit < 7; bit++) {
    program_text_read(&text, words);
    dw_program_source source = program_text_source(&text);
    if (bit == 0) text.tensors[0].source = 3;
    if (bit == 1) text.tensors[0].rank = 5;
    if (bit == 2) text.tensors[0].rank = UINT32_MAX;
    if (bit == 3) text.tensors[0].dims[2].constant = 1;
    if (bit == 4) text.tensors[0].strides[3] = 1;
    if (bit == 5) text.tensors[0].dims[3].param = 1;
    if (bit == 6) text.tensors[0].rank = 0;
    CHECK_STATUS(dw_program_new(&source, program_text_describe, &text, &program, &error), DW_INVALID, &error);
    CHECK(strstr(error.detail, "tensor 0") != NULL);
  }
  // Handles that no host would describe so are refused all the same.
  const struct {
    uint32_t rank, dtype;
    uint64_t dim;
    dw_status status;
  } slots[] = {{5, DW_F32, 1, DW_INVALID}, {0, DW_F32, 1, DW_INVALID}, {1, 99, 1, DW_INVALID},
               {2, DW_F32, UINT64_MAX, DW_LIMIT}, {4, DW_U8, 1 << 30, DW_LIMIT}};
  for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
    program_text_read(&text, words);
    dw_program_source source = program_text_source(&text);
    text.slots[0].rank = slots[i].rank;
    text.slots[0].dtype = slots[i].dtype;
    for (int d = 0; d < 4; d++) text.slots[0].dims[d] = slots[i].dim;
    CHECK_STATUS(dw_program_new(&source, program_text_describe, &text, &program, &error), slots[i].status, &error);
  }
}

// ---- What comes out ---------------------------------------------------------------------

static dw_program *new_program(const char *text) {
  dw_program *program;
  CHECK_OK(program_text_new(text, &program, &error), &error);
  return program;
}

static void test_views(void) {
  dw_program *program = new_program("p 2 8; p 3 3; linear f32 8x32; linear f32 4 at=2048; h1 f32 p0x32;"
                                    "v0 f32 p0x16 s32,1 o16; v1 f32 1xp1 s7,1 o32p0-64; h1 f32 2x2; t f32 p0x16;"
                                    "h2 f32 4; Identity 1 > 4");
  CHECK_EQ(program->view_count, 6);
  CHECK_EQ(program->slot_count, 2); // a handle that is named twice is one slot
  CHECK_EQ(program->slots[0].handle, 1);
  CHECK_EQ(program->slots[1].handle, 2);
  CHECK_EQ(program->temp_count, 1);
  CHECK_EQ(program->param_count, 2);
  const dw_program_view *view = &program->views[0];
  CHECK(view->root == DW_SOURCE_HANDLE && view->index == 0 && view->dtype == DW_F32 && view->rank == 2);
  CHECK(view->max_dims[0] == 8 && view->max_dims[1] == 32 && view->strides[0] == 32 && view->strides[1] == 1);
  view = &program->views[2];
  CHECK(view->root == DW_SOURCE_HANDLE && view->index == 0);
  CHECK(view->offset.constant == 16 - 64 && view->offset.scale == 32 && view->offset.param == 0);
  CHECK(view->dims[1].constant == 3 && view->dims[1].scale == 0 && view->max_dims[1] == 3);
  CHECK(view->strides[0] == 7);
  CHECK_EQ(dw_affine_value(view->offset, (const uint32_t[]){5, 3}), 5 * 32 - 48);
  view = &program->views[4];
  CHECK(view->root == DW_SOURCE_TEMP && view->index == 0 && view->strides[0] == 16);
  CHECK_EQ(program->temps[0].size_bytes, 8 * 16 * 4);
  CHECK_EQ(program->scratch_bytes, 512);
  dw_program_free(program);
}

static void test_appends(void) {
  dw_program *program = new_program(ATTENTION_HANDLES "cache f32 2x2x16x100; h1 f32 1x64; h2 f32 1x32; t f32 1x64; c5;"
                                    "h1 f32 p0x64; h2 f32 p0x32; c4; t f32 p0x64;"
                                    "Attention 0 1 1 _ 3 > 2 i0=4 i1=2 i2=1 i3=1;"
                                    "Attention 4 5 5 _ 6 > 7 i0=4 i1=2 i2=1;"
                                    "Attention 4 5 5 _ 6 > 7 i0=4 i1=2 i2=1 i3=1");
  CHECK_EQ(program->append_count, 2);
  CHECK_EQ(program->slots[program->appends[0].slot].handle, 5);
  CHECK(program->appends[0].rows.constant == 1 && program->appends[0].rows.scale == 0);
  CHECK_EQ(program->slots[program->appends[1].slot].handle, 4);
  CHECK(program->appends[1].rows.scale == 1 && program->appends[1].rows.constant == 0);
  CHECK_EQ(program->views[3].rank, 0);
  CHECK_EQ(program->views[3].dtype, DW_F32);
  dw_program_free(program);
}

// No two temps that are alive at one operator share bytes.
static void check_plan(const dw_program *program) {
  for (uint32_t i = 0; i < program->temp_count; i++) {
    const dw_temp *a = &program->temps[i];
    CHECK_EQ(a->offset_bytes % DW_VIEW_ALIGNMENT, 0);
    CHECK(a->first_op <= a->last_op && a->last_op < program->op_count);
    CHECK(a->offset_bytes + a->size_bytes <= program->scratch_bytes);
    for (uint32_t j = 0; j < i; j++) {
      const dw_temp *b = &program->temps[j];
      bool alive = a->first_op <= b->last_op && b->first_op <= a->last_op;
      bool apart = a->offset_bytes + a->size_bytes <= b->offset_bytes ||
                   b->offset_bytes + b->size_bytes <= a->offset_bytes;
      CHECK(!alive || apart || a->size_bytes == 0 || b->size_bytes == 0);
    }
  }
}

static void test_plan(void) {
  // A chain needs two places, however long it is.
  dw_program *program = new_program(ROWS "h1 f32 p0x32; t f32 p0x32; t f32 p0x32; t f32 p0x32; t f32 p0x32; t f32 p0x32;"
                                    "Swish 0 > 1; Tanh 1 > 2; Swish 2 > 3; Tanh 3 > 4; Swish 4 > 5; Tanh 5 > 0");
  CHECK_EQ(program->scratch_bytes, 2 * 1024);
  CHECK_EQ(program->temps[0].first_op, 0);
  CHECK_EQ(program->temps[0].last_op, 1);
  CHECK_EQ(program->temps[4].last_op, 5);
  check_plan(program);
  dw_program_free(program);
  // A temp that is read late keeps its place.
  program = new_program(ROWS "h1 f32 p0x32; t f32 p0x32; t f32 p0x32; t f32 p0x32;"
                        "Swish 0 > 1; Tanh 0 > 2; Swish 2 > 3; Add 1 3 > 0");
  CHECK_EQ(program->scratch_bytes, 3 * 1024);
  check_plan(program);
  dw_program_free(program);
  // Sizes are rounded to the alignment; unwritten and empty temps take nothing.
  program = new_program("linear f32 1; t f32 1; t f32 1000; t f32 0; h1 f32 1; h1 f32 0;"
                        "Swish 3 > 0; Identity 4 > 2; Identity 0 > 3");
  CHECK_EQ(program->scratch_bytes, 256);
  CHECK_EQ(program->temps[1].size_bytes, 0);
  dw_program_free(program);
}

static llama_program llama;

static dw_program *new_llama(uint32_t layers) {
  llama_program_build(&llama, &(llama_shape){.layers = layers, .hidden = 64, .heads = 4, .kv_heads = 2, .head_dim = 16,
                                             .inner = 96, .vocabulary = 320, .context = 128, .chunk = 32,
                                             .weight_dtype = DW_BF16});
  dw_program_source source = llama_source(&llama);
  dw_program *program;
  CHECK_OK(dw_program_new(&source, llama_describe, &llama, &program, &error), &error);
  return program;
}

static void test_llama(void) {
  dw_program *two = new_llama(2), *many = new_llama(24);
  CHECK_EQ(two->append_count, 1);
  CHECK_EQ(two->slots[two->appends[0].slot].place, DW_PLACE_CACHE);
  check_plan(two);
  check_plan(many);
  CHECK_EQ(two->scratch_bytes, many->scratch_bytes); // depth needs no more memory
  CHECK(two->scratch_bytes <= 32 * 4 * (3 * 96 + 64));
  CHECK(memcmp(two->digest, many->digest, sizeof two->digest) != 0);
  dw_program_free(two);
  dw_program_free(many);
}

// ---- Digest -------------------------------------------------------------------------------

static void test_digest(void) {
  static const char base[] = "p 1 8; linear f32 8x32; device f32 8x32; h1 f32 p0x32; h2 f32 p0x32; t f32 p0x32;"
                             "Swish 0 > 2 f0=1; Add 2 1 > 1";
  static const struct {
    const char *text;
    bool same;
  } others[] = {
      // the same after normalisation, at other addresses and under other handles
      {base, true},
      {"p 1 8; linear f32 8x32 at=512; device f32 8x32; h1 f32 p0x32; h2 f32 p0x32 s32,1; t f32 p0x32;"
       "Swish 0 > 2 f0=1; Add 2 1 > 1", true},
      {"p 1 8; device f32 8x32; linear f32 8x32; h2 f32 p0x32; h1 f32 p0x32; v1 f32 p0x32; t f32 p0x32;"
       "Swish 0 > 3 f0=1; Add 3 1 > 1", false},
      {"p 1 8; device f32 8x32; linear f32 8x32; h2 f32 p0x32; h1 f32 p0x32; t f32 p0x32;"
       "Swish 0 > 2 f0=1; Add 2 1 > 1", true},
      // one thing changed each
      {"p 2 8; linear f32 8x32; device f32 8x32; h1 f32 p0x32; h2 f32 p0x32; t f32 p0x32;"
       "Swish 0 > 2 f0=1; Add 2 1 > 1", false},
      {"p 1 7; linear f32 8x32; device f32 8x32; h1 f32 p0x32; h2 f32 p0x32; t f32 p0x32;"
       "Swish 0 > 2 f0=1; Add 2 1 > 1", false},
      {"p 1 8; device f32 8x32; device f32 8x32; h1 f32 p0x32; h2 f32 p0x32; t f32 p0x32;"
       "Swish 0 > 2 f0=1; Add 2 1 > 1", false},
      {"p 1 8; linear f32 9x32; device f32 8x32; h1 f32 p0x32; h2 f32 p0x32; t f32 p0x32;"
       "Swish 0 > 2 f0=1; Add 2 1 > 1", false},
      {"p 1 8; linear f32 8x32; device f16 8x32; h1 f32 p0x32; h2 f16 p0x32; t f32 p0x32;"
       "Swish 0 > 2 f0=1; Add 2 1 > 1", false},
      {"p 1 8; linear f32 8x32; device f32 8x32; h1 f32 p0x32; h2 f32 p0x32; t f16 p0x32;"
       "Swish 0 > 2 f0=1; Add 2 1 > 1", false},
      {"p 1 8; linear f32 8x32; device f32 8x32; h1 f32 p0x32; h2 f32 p0x32; t f32 p0x32;"
       "Swish 0 > 2 f0=2; Add 2 1 > 1", false},
      {"p 1 8; linear f32 8x32; device f32 8x32; h1 f32 p0x32; h2 f32 p0x32; t f32 p0x32;"
       "Swish 0 > 2 f0=1; Mul 2 1 > 1", false},
      {"p 1 8; linear f32 8x32; device f32 8x32; h1 f32 p0x32; h2 f32 p0x32; t f32 p0x32;"
       "Swish 0 > 2 f0=1; Add 1 2 > 1", false},
      {"p 1 8; linear f32 9x32; device f32 8x32; h1 f32 p0x32 o32; h2 f32 p0x32; t f32 p0x32;"
       "Swish 0 > 2 f0=1; Add 2 1 > 1", false},
  };
  dw_program *first = new_program(base);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    dw_program *other = new_program(others[i].text);
    if ((memcmp(first->digest, other->digest, sizeof first->digest) == 0) != others[i].same) {
      fprintf(stderr, "    digest %zu: %s\n", i, others[i].text);
      exit(1);
    }
    dw_program_free(other);
  }
  dw_program_free(first);
}

// ---- Names -----------------------------------------------------------------------------------

static void test_names(void) {
#define X(name, code) CHECK_STR(dw_operator_name(code), #name);
  DW_OPERATOR_MAP(X)
#undef X
  CHECK_STR(dw_operator_name(0), "?");
  CHECK_STR(dw_operator_name(1000), "?");
#define X(name, code, text, bytes)            \
  CHECK_STR(dw_dtype_name(code), text);       \
  CHECK_EQ(dw_dtype_bytes(code), bytes);      \
  CHECK_EQ(dw_dtype_parse(text, strlen(text)), code);
  DW_DTYPE_MAP(X)
#undef X
  CHECK_STR(dw_dtype_name(0), "?");
  CHECK_STR(dw_dtype_name(UINT32_MAX), "?");
  CHECK_EQ(dw_dtype_bytes(0), 0);
  CHECK_EQ(dw_dtype_bytes(UINT32_MAX), 0);
  CHECK_EQ(dw_dtype_parse("F3", 2), 0);
  CHECK_EQ(dw_dtype_parse("F322", 4), 0);
  CHECK_EQ(dw_dtype_parse("", 0), 0);
  CHECK_EQ(dw_dtype_parse("BF16 ", 4), DW_BF16);
}

// ---- Hostile sizes ------------------------------------------------------------------------------

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static dw_status any_tensor(void *user, dw_handle handle, dw_slot *slot, dw_error *words) {
  (void)user, (void)words;
  *slot = (dw_slot){.handle = handle, .place = DW_PLACE_DEVICE, .dtype = DW_F32, .rank = 1, .dims = {64}, .alias = handle};
  return DW_OK;
}

enum { MOST = DW_MAX_PROGRAM_OPS };

static dw_program_tensor many_tensors[MOST];
static dw_op many_ops[MOST];

static void run_many(const char *what) {
  dw_program_source source = {.tensors = many_tensors, .tensor_count = MOST, .ops = many_ops, .op_count = MOST};
  dw_program *program;
  double begin = seconds();
  CHECK_OK(dw_program_new(&source, any_tensor, NULL, &program, &error), &error);
  printf("    %-32s %6.1f ms\n", what, (seconds() - begin) * 1e3);
  dw_program_free(program);
}

static void unary(uint32_t op, uint32_t from, uint32_t to) {
  many_ops[op] = (dw_op){.op = DW_OP_Swish};
  memset(many_ops[op].inputs, 0xFF, sizeof many_ops[op].inputs);
  memset(many_ops[op].outputs, 0xFF, sizeof many_ops[op].outputs);
  many_ops[op].inputs[0] = from;
  many_ops[op].outputs[0] = to;
}

// Time is only shown: no test has a latency threshold.
static void test_largest(void) {
  for (uint32_t i = 0; i < MOST; i++) { // every tensor another handle, in the worst order of a table
    many_tensors[i] = (dw_program_tensor){.source = DW_SOURCE_HANDLE, .base = (i + 1) << 14 | 1, .dtype = DW_F32,
                                          .rank = 1, .dims = {{.constant = 64}}};
    unary(i, i, i ? i - 1 : i);
  }
  run_many("8,192 handles");
  for (uint32_t i = 1; i < MOST; i++) { // all alive to the end
    many_tensors[i] = (dw_program_tensor){.source = DW_SOURCE_TEMP, .dtype = DW_F32, .rank = 1,
                                          .dims = {{.constant = 64}}};
    unary(i - 1, i - 1, i);
  }
  unary(MOST - 1, MOST - 1, 0);
  run_many("8,191 temps in a chain");
  for (uint32_t i = 1; i < MOST / 2; i++) unary(i - 1, 0, i);
  for (uint32_t i = MOST / 2; i < MOST; i++) many_tensors[i] = many_tensors[0];
  for (uint32_t i = MOST / 2 - 1; i < MOST; i++) unary(i, 1 + (i * 2) % (MOST / 2 - 1), 0);
  run_many("4,095 temps that end in a mess");
  // Every second one is gone when larger ones come that fit into no gap.
  for (uint32_t i = 1; i < MOST; i++)
    many_tensors[i].source = DW_SOURCE_TEMP, many_tensors[i].base = 0,
    many_tensors[i].dims[0].constant = 64;
  uint32_t op = 0, third = MOST / 4;
  for (uint32_t i = 1; i <= 2 * third - 1; i++) unary(op++, 0, i);
  for (uint32_t i = 2; i <= 2 * third - 2 && op < MOST; i += 2) unary(op++, i, 0);
  for (uint32_t i = 2 * third; i < 3 * third; i++) unary(op++, 0, i);
  for (uint32_t i = 1; op < MOST; i = (i + 2) % (2 * third - 1)) unary(op++, i, 0);
  run_many("gaps that fit nothing");
  for (uint32_t i = 1; i < MOST; i++) { // a view of a view of a view ...
    many_tensors[i] = (dw_program_tensor){.source = DW_SOURCE_VIEW, .base = i - 1, .dtype = DW_F32, .rank = 1,
                                          .dims = {{.constant = 64}}};
    unary(i, i, i);
  }
  unary(0, 0, 0);
  run_many("a chain of 8,191 views");
}

static const dw_case cases[] = {
    {"valid", "every operator in many forms is accepted", test_valid},
    {"invalid", "what breaks a rule is refused, naming operator and operand", test_invalid},
    {"counts", "counts beyond the limits are refused before anything is read", test_counts},
    {"records", "fields of records and handles that must be 0 or in range", test_records},
    {"views", "views, slots and offsets come out resolved", test_views},
    {"appends", "rows that a program appends to caches", test_appends},
    {"plan", "temps share scratch memory when their lives do not meet", test_plan},
    {"llama", "a Llama-like decoder", test_llama},
    {"digest", "equal programs have equal digests, whatever their handles", test_digest},
    {"names", "names and sizes of operators and dtypes", test_names},
    {"largest", "8,192 tensors and operators in forms that provoke quadratic work", test_largest},
};
DW_TEST_MAIN(cases)
