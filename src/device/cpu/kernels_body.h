// The inner loops, for one vector type.  A kernels_<set>.c file defines, then
// includes this file:
//
//   SET_NAME     the name of the set
//   W, V         floats of a vector (16 is a multiple of W), its type
//   PANEL_M, PANEL_N, DIRECT_M   see dw_cpu_kernels
//   DOTS_M       most activation rows of one direct tile
//   DOTS_N(m)    weight rows of a direct tile with m activation rows, 4 at most
//   v_zero v_set v_load v_store v_add v_sub v_mul v_div v_fma(a, b, c) = a*b + c
//   v_max(a, b) = a > b ? a : b    v_min(a, b) = a < b ? a : b   (b where one is a NaN)
//   v_less(a, b, x, y) = a < b ? x : y
//   v_load_f16 v_load_bf16 v_store_f16 v_store_bf16   v_canonical   v_abs   v_sign(magnitude, sign)
//   v_powers(t, low, high)   two powers of two whose product is 2^n, where t = 1.5 * 2^23 + n
//   F            the 16 lanes of the canonical order: { V part[16 / W]; }
//   UNROLL       may be defined as nothing
//   fold_four(a, b, c, d)    the tree sums of four F: {float value[4]}
#include <math.h>
#include <string.h>

#define PARTS (DW_LANES / W)
#define INLINE static inline __attribute__((always_inline))
#if defined(UNROLL)
// the set has its own
#elif defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

INLINE F f_zero(void) {
  F f;
  UNROLL for (int p = 0; p < PARTS; p++) f.part[p] = v_zero();
  return f;
}

INLINE V load_as(uint32_t dtype, const void *from, uint64_t at) {
  if (dtype == DW_F32) return v_load((const float *)from + at);
  if (dtype == DW_F16) return v_load_f16((const uint16_t *)from + at);
  return v_load_bf16((const uint16_t *)from + at);
}

INLINE F f_load(uint32_t dtype, const void *from, uint64_t at) {
  F f;
  UNROLL for (int p = 0; p < PARTS; p++) f.part[p] = load_as(dtype, from, at + (uint64_t)p * W);
  return f;
}

INLINE F f_fma(F a, F b, F c) {
  UNROLL for (int p = 0; p < PARTS; p++) c.part[p] = v_fma(a.part[p], b.part[p], c.part[p]);
  return c;
}

INLINE uint32_t size_of(uint32_t dtype) { return dtype == DW_F32 ? 4 : 2; }

// Fewer than 16 elements, zeros behind them.
INLINE F f_load_tail(uint32_t dtype, const void *from, uint64_t at, uint64_t count) {
  unsigned char bytes[DW_LANES * 4] __attribute__((aligned(64))) = {0};
  memcpy(bytes, (const unsigned char *)from + at * size_of(dtype), count * size_of(dtype));
  return f_load(dtype, bytes, 0);
}

// ---- Conversions ---------------------------------------------------------------------

INLINE void load_typed(uint32_t dtype, const void *from, float *to, uint64_t count) {
  uint64_t i = 0;
  for (; i + W <= count; i += W) v_store(to + i, load_as(dtype, from, i));
  if (i == count) return;
  unsigned char bytes[W * 4] = {0};
  float out[W];
  memcpy(bytes, (const unsigned char *)from + i * size_of(dtype), (count - i) * size_of(dtype));
  v_store(out, load_as(dtype, bytes, 0));
  memcpy(to + i, out, (count - i) * sizeof *to);
}

static void kernel_load(uint32_t dtype, const void *from, float *to, uint64_t count) {
  if (dtype == DW_F32) memcpy(to, from, count * sizeof *to);
  else if (dtype == DW_F16) load_typed(DW_F16, from, to, count);
  else load_typed(DW_BF16, from, to, count);
}

INLINE void store_as(uint32_t dtype, void *to, uint64_t at, V value) {
  if (dtype == DW_F32) v_store((float *)to + at, v_canonical(value));
  else if (dtype == DW_F16) v_store_f16((uint16_t *)to + at, value);
  else v_store_bf16((uint16_t *)to + at, value);
}

INLINE void store_typed(uint32_t dtype, const float *from, void *to, uint64_t count) {
  uint64_t i = 0;
  for (; i + W <= count; i += W) store_as(dtype, to, i, v_load(from + i));
  if (i == count) return;
  float in[W] = {0};
  unsigned char bytes[W * 4];
  memcpy(in, from + i, (count - i) * sizeof *in);
  store_as(dtype, bytes, 0, v_load(in));
  memcpy((unsigned char *)to + i * size_of(dtype), bytes, (count - i) * size_of(dtype));
}

static void kernel_store(uint32_t dtype, const float *from, void *to, uint64_t count) {
  if (dtype == DW_F32) store_typed(DW_F32, from, to, count);
  else if (dtype == DW_F16) store_typed(DW_F16, from, to, count);
  else store_typed(DW_BF16, from, to, count);
}

// ---- Functions (docs/numerics.md gives their polynomials and errors) --------------------

#define SHIFT 12582912.0f // 1.5 * 2^23: adding it rounds to an integer, to even

INLINE V v_exp(V x) {
  x = v_max(v_set(-104.0f), v_min(v_set(89.0f), x)); // a NaN stays
  V t = v_fma(x, v_set(1.44269504088896341f), v_set(SHIFT));
  V n = v_sub(t, v_set(SHIFT));
  V r = v_fma(n, v_set(-0.693145751953125f), x);
  r = v_fma(n, v_set(-1.42860677e-6f), r);
  V p = v_set(0x1.6db47ep-10f);
  p = v_fma(p, r, v_set(0x1.123b92p-7f));
  p = v_fma(p, r, v_set(0x1.55545ep-5f));
  p = v_fma(p, r, v_set(0x1.55548ep-3f));
  p = v_fma(p, r, v_set(0.5f));
  p = v_fma(v_mul(p, r), r, r);
  p = v_add(p, v_set(1.0f));
  V low, high;
  v_powers(t, &low, &high);
  return v_mul(v_mul(p, low), high);
}

INLINE V v_sigmoid(V x) {
  V z = v_exp(v_sub(v_zero(), v_abs(x)));
  V one = v_set(1.0f);
  return v_div(v_less(x, v_zero(), z, one), v_add(one, z));
}

INLINE V v_tanh(V x) {
  V a = v_abs(x), s = v_mul(x, x);
  V p = v_set(-0.005717044696211815f);
  p = v_fma(p, s, v_set(0.020650586113333702f));
  p = v_fma(p, s, v_set(-0.05374349653720856f));
  p = v_fma(p, s, v_set(0.13331490755081177f));
  p = v_fma(p, s, v_set(-0.3333328366279602f));
  V small = v_fma(v_mul(p, s), a, a);
  V e = v_exp(v_add(a, a)), one = v_set(1.0f);
  V large = v_sub(one, v_div(v_set(2.0f), v_add(e, one)));
  return v_sign(v_less(a, v_set(0.625f), small, large), x);
}

INLINE V v_erf(V x) {
  V a = v_abs(x), s = v_mul(x, x);
  V p = v_set(7.889122935011983e-05f);
  p = v_fma(p, s, v_set(-0.0008020842215046287f));
  p = v_fma(p, s, v_set(0.005189535673707724f));
  p = v_fma(p, s, v_set(-0.026854444295167923f));
  p = v_fma(p, s, v_set(0.11283600330352783f));
  p = v_fma(p, s, v_set(-0.3761262595653534f));
  p = v_fma(p, s, v_set(0.12837916612625122f));
  V small = v_fma(p, a, a);
  V b = v_min(v_set(4.0f), a); // a NaN stays
  V q = v_set(0.00018637925677467138f);
  q = v_fma(q, b, v_set(-0.0029476589988917112f));
  q = v_fma(q, b, v_set(0.02183806709945202f));
  q = v_fma(q, b, v_set(-0.10310675948858261f));
  q = v_fma(q, b, v_set(-0.638144850730896f));
  q = v_fma(q, b, v_set(-1.1270891427993774f));
  q = v_fma(q, b, v_set(-0.0003415223036427051f));
  V large = v_sub(v_set(1.0f), v_exp(q));
  return v_sign(v_less(a, v_set(1.0f), small, large), x);
}

INLINE V v_gelu(V x, bool approximate) {
  V inner;
  if (approximate) {
    V cube = v_mul(v_mul(x, x), x);
    inner = v_tanh(v_mul(v_set(0.7978845608028654f), v_fma(v_set(0.044715f), cube, x)));
  } else {
    inner = v_erf(v_mul(x, v_set(0.70710678118654752f)));
  }
  return v_mul(v_mul(v_set(0.5f), x), v_add(v_set(1.0f), inner));
}

static float kernel_exp(float x) {
  float buffer[W] = {x};
  v_store(buffer, v_exp(v_load(buffer)));
  return buffer[0];
}

// ---- Elementwise -------------------------------------------------------------------------

INLINE V one_binary(uint32_t op, V a, V b) {
  if (op == DW_OP_Add) return v_canonical(v_add(a, b));
  if (op == DW_OP_Mul) return v_canonical(v_mul(a, b));
  if (op == DW_OP_Sub) return v_canonical(v_sub(a, b));
  return v_canonical(v_div(a, b));
}

INLINE void binary_of(uint32_t op, const float *a, const float *b, float *y, uint64_t count) {
  uint64_t i = 0;
  for (; i + W <= count; i += W) v_store(y + i, one_binary(op, v_load(a + i), v_load(b + i)));
  if (i == count) return;
  float left[W] = {0}, right[W] = {0};
  memcpy(left, a + i, (count - i) * sizeof *a);
  memcpy(right, b + i, (count - i) * sizeof *b);
  v_store(left, one_binary(op, v_load(left), v_load(right)));
  memcpy(y + i, left, (count - i) * sizeof *y);
}

static void kernel_binary(uint32_t op, const float *a, const float *b, float *y, uint64_t count) {
  if (op == DW_OP_Add) binary_of(DW_OP_Add, a, b, y, count);
  else if (op == DW_OP_Mul) binary_of(DW_OP_Mul, a, b, y, count);
  else if (op == DW_OP_Sub) binary_of(DW_OP_Sub, a, b, y, count);
  else binary_of(DW_OP_Div, a, b, y, count);
}

INLINE V one_unary(uint32_t kind, const dw_op *op, V x) {
  V y;
  if (kind == DW_OP_Swish) y = v_mul(x, v_sigmoid(op->f[0] == 0 ? x : v_mul(v_set(op->f[0]), x)));
  else if (kind == DW_OP_Sigmoid) y = v_sigmoid(x);
  else if (kind == DW_OP_Tanh) y = v_tanh(x);
  else if (kind == DW_OP_Gelu) y = v_gelu(x, op->i[0] == 1);
  else y = v_fma(v_set(op->f[0]), x, v_set(op->f[1]));
  return v_canonical(y);
}

INLINE void unary_of(uint32_t kind, const dw_op *op, const float *x, float *y, uint64_t count) {
  uint64_t i = 0;
  for (; i + W <= count; i += W) v_store(y + i, one_unary(kind, op, v_load(x + i)));
  if (i == count) return;
  float buffer[W] = {0};
  memcpy(buffer, x + i, (count - i) * sizeof *x);
  v_store(buffer, one_unary(kind, op, v_load(buffer)));
  memcpy(y + i, buffer, (count - i) * sizeof *y);
}

static void kernel_unary(const dw_op *op, const float *x, float *y, uint64_t count) {
  if (op->op == DW_OP_Swish) unary_of(DW_OP_Swish, op, x, y, count);
  else if (op->op == DW_OP_Sigmoid) unary_of(DW_OP_Sigmoid, op, x, y, count);
  else if (op->op == DW_OP_Tanh) unary_of(DW_OP_Tanh, op, x, y, count);
  else if (op->op == DW_OP_Gelu) unary_of(DW_OP_Gelu, op, x, y, count);
  else unary_of(DW_OP_Axpby, op, x, y, count);
}

// ---- Rows ------------------------------------------------------------------------------

INLINE float f_sum(F f) { return fold_four(f, f, f, f).value[0]; }

static float kernel_sum_of_squares(const float *x, uint64_t count) {
  F sums = f_zero();
  uint64_t i = 0;
  for (; i + DW_LANES <= count; i += DW_LANES) {
    F v = f_load(DW_F32, x, i);
    sums = f_fma(v, v, sums);
  }
  if (i < count) {
    F v = f_load_tail(DW_F32, x, i, count - i);
    sums = f_fma(v, v, sums);
  }
  return f_sum(sums);
}

static void kernel_scale(const float *x, float factor, const float *scale, float *y, uint64_t count) {
  uint64_t i = 0;
  for (; i + W <= count; i += W)
    v_store(y + i, v_canonical(v_mul(v_mul(v_load(x + i), v_set(factor)), v_load(scale + i))));
  if (i == count) return;
  float left[W] = {0}, right[W] = {0};
  memcpy(left, x + i, (count - i) * sizeof *x);
  memcpy(right, scale + i, (count - i) * sizeof *scale);
  v_store(left, v_canonical(v_mul(v_mul(v_load(left), v_set(factor)), v_load(right))));
  memcpy(y + i, left, (count - i) * sizeof *y);
}

// The largest element, NaNs left aside, `least` at least.
INLINE float largest(const float *x, uint64_t count, float least) {
  V most = v_set(least);
  uint64_t i = 0;
  for (; i + W <= count; i += W) most = v_max(v_load(x + i), most);
  float lanes[W];
  v_store(lanes, most);
  float max = least;
  for (int l = 0; l < W; l++) max = lanes[l] > max ? lanes[l] : max;
  for (; i < count; i++) max = x[i] > max ? x[i] : max;
  return max;
}

// y = exp(x - max); answers their sum in the canonical order.
INLINE float exponentials_of(const float *x, float *y, uint64_t count, float max) {
  V shift = v_set(max);
  F sums = f_zero();
  uint64_t i = 0;
  for (; i + DW_LANES <= count; i += DW_LANES) {
    UNROLL for (int p = 0; p < PARTS; p++) {
      V e = v_exp(v_sub(v_load(x + i + p * W), shift));
      v_store(y + i + p * W, e);
      sums.part[p] = v_add(sums.part[p], e);
    }
  }
  if (i < count) {
    float tail[DW_LANES] = {0};
    memcpy(tail, x + i, (count - i) * sizeof *x);
    for (int p = 0; p < PARTS; p++) v_store(tail + p * W, v_exp(v_sub(v_load(tail + p * W), shift)));
    memset(tail + (count - i), 0, (DW_LANES - (count - i)) * sizeof *tail);
    memcpy(y + i, tail, (count - i) * sizeof *y);
    for (int p = 0; p < PARTS; p++) sums.part[p] = v_add(sums.part[p], v_load(tail + p * W));
  }
  return f_sum(sums);
}

static void kernel_softmax(const float *x, float *y, uint64_t count) {
  float sum = exponentials_of(x, y, count, largest(x, count, -INFINITY));
  V divisor = v_set(sum);
  uint64_t i = 0;
  for (; i + W <= count; i += W) v_store(y + i, v_canonical(v_div(v_load(y + i), divisor)));
  if (i == count) return;
  float tail[W] = {0};
  memcpy(tail, y + i, (count - i) * sizeof *y);
  v_store(tail, v_canonical(v_div(v_load(tail), divisor)));
  memcpy(y + i, tail, (count - i) * sizeof *y);
}

// ---- Attention -----------------------------------------------------------------------------

#define LEAST (-3.40282346638528859812e+38f)

static void kernel_exponentials(float *scores, uint64_t count, float *max, float *sum) {
  *max = largest(scores, count, LEAST); // finite unless +inf: a score of -inf becomes a weight of 0
  *sum = exponentials_of(scores, scores, count, *max);
}

INLINE V one_cap(V x, float scale, float cap) {
  x = v_mul(x, v_set(scale));
  return cap == 0 ? x : v_mul(v_set(cap), v_tanh(v_div(x, v_set(cap))));
}

static void kernel_cap(float *x, float scale, float cap, uint64_t count) {
  uint64_t i = 0;
  for (; i + W <= count; i += W) v_store(x + i, one_cap(v_load(x + i), scale, cap));
  if (i == count) return;
  float tail[W] = {0};
  memcpy(tail, x + i, (count - i) * sizeof *x);
  v_store(tail, one_cap(v_load(tail), scale, cap));
  memcpy(x + i, tail, (count - i) * sizeof *x);
}

static void kernel_combine(float *y, float factor, const float *x, float weight, uint64_t count) {
  uint64_t i = 0;
  for (; i + W <= count; i += W)
    v_store(y + i, v_fma(v_load(y + i), v_set(factor), v_mul(v_load(x + i), v_set(weight))));
  if (i == count) return;
  float left[W] = {0}, right[W] = {0};
  memcpy(left, y + i, (count - i) * sizeof *y);
  memcpy(right, x + i, (count - i) * sizeof *x);
  v_store(left, v_fma(v_load(left), v_set(factor), v_mul(v_load(right), v_set(weight))));
  memcpy(y + i, left, (count - i) * sizeof *y);
}

INLINE V load_some(uint32_t dtype, const void *from, uint64_t at, uint64_t count) {
  if (count >= W) return load_as(dtype, from, at);
  unsigned char bytes[W * 4] = {0};
  memcpy(bytes, (const unsigned char *)from + at * size_of(dtype), count * size_of(dtype));
  return load_as(dtype, bytes, 0);
}

// W columns of the weighted sum: lane = row % 16, each lane in ascending rows.
INLINE void weigh_columns(const dw_weigh *job, uint32_t dtype, uint64_t d) {
  V lanes[DW_LANES];
  uint64_t left = job->width - d;
  UNROLL for (int l = 0; l < DW_LANES; l++) lanes[l] = v_zero();
  for (uint64_t row = 0; row < job->rows; row += DW_LANES) {
    const void *block = job->blocks[row / job->block_rows];
    uint64_t at = row % job->block_rows * job->width + d;
    const float *weights = job->weights + row;
    if (row + DW_LANES <= job->rows && left >= W) {
      UNROLL for (int l = 0; l < DW_LANES; l++)
        lanes[l] = v_fma(v_set(weights[l]), load_as(dtype, block, at + (uint64_t)l * job->width), lanes[l]);
    } else {
      for (uint64_t l = 0; l < DW_LANES && row + l < job->rows; l++)
        lanes[l] = v_fma(v_set(weights[l]), load_some(dtype, block, at + l * job->width, left), lanes[l]);
    }
  }
  UNROLL for (int half = DW_LANES / 2; half > 0; half /= 2) {
    UNROLL for (int l = 0; l < half; l++) lanes[l] = v_add(lanes[l], lanes[l + half]);
  }
  if (left >= W) {
    v_store(job->y + d, lanes[0]);
  } else {
    float tail[W];
    v_store(tail, lanes[0]);
    memcpy(job->y + d, tail, left * sizeof *tail);
  }
}

static void kernel_weigh(const dw_weigh *job) {
  for (uint64_t d = 0; d < job->width; d += W) {
    if (job->dtype == DW_F32) weigh_columns(job, DW_F32, d);
    else weigh_columns(job, DW_F16, d);
  }
}

// ---- Products with few activation rows: vectors run along k ------------------------------------

INLINE void dots_tile(const dw_dots *job, uint32_t dtype, const int mb, const int nb, uint64_t m0, uint64_t n0) {
  F sums[DOTS_M][4];
  const float *x[DOTS_M];
  const unsigned char *w[4];
  UNROLL for (int i = 0; i < mb; i++) {
    x[i] = job->x + (m0 + (uint64_t)i) * job->x_stride;
    UNROLL for (int j = 0; j < 4; j++) sums[i][j] = f_zero();
  }
  UNROLL for (int j = 0; j < nb; j++)
    w[j] = (const unsigned char *)job->w + (n0 + (uint64_t)j) * job->w_stride * size_of(dtype);
  uint64_t k = 0;
  for (; k + DW_LANES <= job->k; k += DW_LANES) {
    UNROLL for (int j = 0; j < nb; j++) {
      F weight = f_load(dtype, w[j], k);
      UNROLL for (int i = 0; i < mb; i++) sums[i][j] = f_fma(weight, f_load(DW_F32, x[i], k), sums[i][j]);
    }
  }
  if (k < job->k) {
    UNROLL for (int j = 0; j < nb; j++) {
      F weight = f_load_tail(dtype, w[j], k, job->k - k);
      UNROLL for (int i = 0; i < mb; i++)
        sums[i][j] = f_fma(weight, f_load_tail(DW_F32, x[i], k, job->k - k), sums[i][j]);
    }
  }
  UNROLL for (int i = 0; i < mb; i++) {
    four sum = fold_four(sums[i][0], sums[i][1], sums[i][2], sums[i][3]);
    float *y = job->y + (m0 + (uint64_t)i) * job->y_stride_m + n0 * job->y_stride_n;
    UNROLL for (int j = 0; j < nb; j++) y[(uint64_t)j * job->y_stride_n] = sum.value[j];
  }
}

// All weight rows against mb activation rows.
INLINE void dots_rows(const dw_dots *job, uint32_t dtype, const int mb, uint64_t m0) {
  const uint64_t nb = DOTS_N(mb);
  uint64_t n = 0;
  for (; n + nb <= job->n; n += nb) dots_tile(job, dtype, mb, DOTS_N(mb), m0, n);
  for (; n < job->n; n++) dots_tile(job, dtype, mb, 1, m0, n);
}

INLINE void dots_typed(const dw_dots *job, uint32_t dtype) {
  uint64_t m = 0;
  for (; m + DOTS_M <= job->m; m += DOTS_M) dots_rows(job, dtype, DOTS_M, m);
  switch (job->m - m) {
#if DOTS_M > 5
  case 5: dots_rows(job, dtype, 5, m); break;
#endif
#if DOTS_M > 4
  case 4: dots_rows(job, dtype, 4, m); break;
#endif
#if DOTS_M > 3
  case 3: dots_rows(job, dtype, 3, m); break;
#endif
#if DOTS_M > 2
  case 2: dots_rows(job, dtype, 2, m); break;
#endif
  case 1: dots_rows(job, dtype, 1, m); break;
  default: break;
  }
}

static void kernel_dots(const dw_dots *job) {
  if (job->w_dtype == DW_F32) dots_typed(job, DW_F32);
  else if (job->w_dtype == DW_F16) dots_typed(job, DW_F16);
  else dots_typed(job, DW_BF16);
}

// ---- Products with many: panels of rows, packed so that a tile reads two streams -----------------
// A panel of R rows and S steps of 16 in k is float[PARTS][S][R][W]: the parts of
// the 16 lanes never meet before the fold, so a tile goes through them one by one.

INLINE void pack_row(const dw_pack *job, uint32_t dtype, const unsigned char *from, uint64_t steps, uint64_t panel,
                     float *to) {
  for (uint64_t step = 0; step < steps; step++) {
    uint64_t k = step * DW_LANES, left = job->k - k;
    F f = left >= DW_LANES ? f_load(dtype, from, k) : f_load_tail(dtype, from, k, left);
    UNROLL for (int p = 0; p < PARTS; p++) v_store(to + (((uint64_t)p * steps + step) * panel) * W, f.part[p]);
  }
}

// Any strides: one element after the other, along the rows, which are near each other.
INLINE void pack_strided(const dw_pack *job, uint32_t dtype, uint64_t row0, uint64_t rows, uint64_t steps,
                         uint64_t panel, float *to) {
  for (uint64_t k = 0; k < job->k; k++) {
    uint64_t lane = k % DW_LANES, at = row0 * job->stride_row + k * job->stride_k;
    float *out = to + (lane / W * steps + k / DW_LANES) * panel * W + lane % W;
    for (uint64_t r = 0; r < rows; r++, at += job->stride_row) {
      if (dtype == DW_F32) out[r * W] = ((const float *)job->from)[at];
      else if (dtype == DW_F16) out[r * W] = dw_f16_to_f32(((const uint16_t *)job->from)[at]);
      else out[r * W] = dw_bf16_to_f32(((const uint16_t *)job->from)[at]);
    }
  }
}

INLINE void pack_typed(const dw_pack *job, uint32_t dtype, uint64_t panel, float *to) {
  uint64_t steps = (job->k + DW_LANES - 1) / DW_LANES, panel_floats = steps * DW_LANES * panel;
  for (uint64_t row = 0; row < job->rows; row += panel, to += panel_floats) {
    uint64_t rows = job->rows - row < panel ? job->rows - row : panel;
    if (rows < panel || job->stride_k != 1) memset(to, 0, panel_floats * sizeof *to);
    if (job->stride_k != 1) {
      pack_strided(job, dtype, row, rows, steps, panel, to);
      continue;
    }
    for (uint64_t r = 0; r < rows; r++)
      pack_row(job, dtype, (const unsigned char *)job->from + (row + r) * job->stride_row * size_of(dtype), steps,
               panel, to + r * W);
  }
}

static void kernel_pack(const dw_pack *job, uint32_t panel, float *to) {
  if (job->dtype == DW_F32) pack_typed(job, DW_F32, panel, to);
  else if (job->dtype == DW_F16) pack_typed(job, DW_F16, panel, to);
  else pack_typed(job, DW_BF16, panel, to);
}

static void kernel_multiply(const float *a, const float *b, uint64_t steps, bool begin, float *sums) {
  for (uint64_t p = 0; p < PARTS; p++) {
    V sum[PANEL_M][PANEL_N];
    float *out = sums + p * W;
    UNROLL for (int i = 0; i < PANEL_M; i++) {
      UNROLL for (int j = 0; j < PANEL_N; j++)
        sum[i][j] = begin ? v_zero() : v_load(out + (i * PANEL_N + j) * DW_LANES);
    }
    for (uint64_t step = 0; step < steps; step++, a += PANEL_M * W, b += PANEL_N * W) {
      V right[PANEL_N];
      UNROLL for (int j = 0; j < PANEL_N; j++) right[j] = v_load(b + j * W);
      UNROLL for (int i = 0; i < PANEL_M; i++) {
        V left = v_load(a + i * W);
        UNROLL for (int j = 0; j < PANEL_N; j++) sum[i][j] = v_fma(left, right[j], sum[i][j]);
      }
    }
    UNROLL for (int i = 0; i < PANEL_M; i++) {
      UNROLL for (int j = 0; j < PANEL_N; j++) v_store(out + (i * PANEL_N + j) * DW_LANES, sum[i][j]);
    }
  }
}

static void kernel_fold(const float *sums, float *y) {
  four sum = fold_four(f_load(DW_F32, sums, 0), f_load(DW_F32, sums, 16), f_load(DW_F32, sums, 32),
                       f_load(DW_F32, sums, 48));
  memcpy(y, sum.value, sizeof sum.value);
}

#define KERNELS                                                                                                    \
  {                                                                                                                \
    .name = SET_NAME, .panel_m = PANEL_M, .panel_n = PANEL_N, .direct_m = DIRECT_M, .load = kernel_load,           \
    .store = kernel_store, .binary = kernel_binary, .unary = kernel_unary,                                         \
    .sum_of_squares = kernel_sum_of_squares, .scale = kernel_scale, .softmax = kernel_softmax,                     \
    .exponentials = kernel_exponentials, .combine = kernel_combine, .weigh = kernel_weigh, .exp = kernel_exp,      \
    .cap = kernel_cap, .dots = kernel_dots, .pack = kernel_pack, .multiply = kernel_multiply, .fold = kernel_fold  \
  }
