// Inside the validator: what program.c, program_range.c, program_operator.c and
// plan.c share while a program is being checked.
#ifndef DW_PROGRAM_CHECK_H
#define DW_PROGRAM_CHECK_H

#include "program.h"

#define DW_MAX_SCRATCH_BYTES (UINT64_C(4) << 30)
#define DW_MAX_ATTENTION_HEADS 1024
#define DW_MAX_DIMENSION INT64_C(0x7FFFFFFF)

// Wide enough for every sum below: a stride (2^40) times a dimension's
// coefficient (2^31) times a parameter (2^32) times an element (8), a few times.
__extension__ typedef __int128 dw_wide;

// constant + the sum of per[i] * parameter i.
typedef struct dw_linear {
  dw_wide constant;
  dw_wide per[DW_MAX_PROGRAM_PARAMS];
} dw_linear;

// What is known of a temp while the operators are walked.
typedef struct dw_temp_state {
  uint32_t view;               // the program tensor that declares it
  bool written;
} dw_temp_state;

typedef struct dw_check {
  dw_program *program;
  dw_temp_state *temps;        // one a temp
  uint32_t *slot_appends;      // one a slot: its entry of program->appends + 1, or 0
  uint64_t *attended;          // hash set of (slot, layer) + 1; 0: free
  uint32_t attended_mask;
  uint32_t op;                 // the operator that is being checked
  dw_error *error;
} dw_check;

typedef enum dw_operand_kind { DW_OPERAND_INPUT, DW_OPERAND_OUTPUT } dw_operand_kind;

// ---- Ranges (program_range.c) ---------------------------------------------------
// The largest and smallest value of an affine function between the parameters' bounds.
dw_wide dw_affine_max(const dw_program *program, dw_affine affine);
dw_wide dw_affine_min(const dw_program *program, dw_affine affine);
// The one way to write an affine function: what cannot vary is a constant.
// False where it names a parameter that does not exist.
bool dw_affine_normalise(const dw_program *program, dw_affine *affine);
bool dw_affine_equal(dw_affine a, dw_affine b); // of normalised ones: for every parameter value

// Proves that every element of the view lies inside its root and that its first
// one does even where the view is empty.
dw_status dw_range_check_inside(const dw_program *program, uint32_t index, const dw_temp_state *temps,
                                dw_error *error);
// True if no two indices of the view are one element.
bool dw_range_injective(const dw_program_view *view);
// True if the view has as many elements as its temp at every parameter value.
bool dw_range_covers(const dw_program_view *view, const dw_program_view *temp);
// True if the two views have no byte in common at any parameter value.
bool dw_range_disjoint(const dw_program *program, const dw_program_view *a, const dw_program_view *b);
// True if index for index the two views are the same bytes.
bool dw_range_same(const dw_program *program, const dw_program_view *a, const dw_program_view *b);

// ---- Operators (program_operator.c) ---------------------------------------------
// Checks operator `check->op`: attributes, operands, dtypes and shapes.
dw_status dw_operator_check(dw_check *check);
// The ONNX name of an operand: "A", "position_ids".
const char *dw_operand_name(uint32_t op, dw_operand_kind kind, uint32_t position);
// True if an output may be the very same view as an input.
bool dw_operator_in_place(uint32_t op);

// ---- Plan (plan.c) ----------------------------------------------------------------
// Gives every temp its place; LIMIT: more than DW_MAX_SCRATCH_BYTES.
dw_status dw_plan(dw_program *program, const dw_temp_state *temps, dw_error *error);
// Fills program->digest.
void dw_program_digest(dw_program *program);

#endif
