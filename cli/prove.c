// prove: the claims of claims.c, shown.
#include "cli.h"

#include "claims.h"

static bool guest_path(void *user, const char *guest, char *path) {
  return cli_find_guest(user, guest, path);
}

static void on_begin(void *user, const cli_claim *one) {
  (void)user;
  cli_status("checking: %s", one->name);
}

static void print_report(const claim_report *report) {
  static const char *const marks[] = {
      [CLAIM_PASS] = "pass", [CLAIM_FAIL] = "FAIL", [CLAIM_NOT_APPLICABLE] = "n/a"};
  static const cli_style styles[] = {
      [CLAIM_PASS] = CLI_GOOD, [CLAIM_FAIL] = CLI_BAD, [CLAIM_NOT_APPLICABLE] = CLI_DIM};
  unsigned counts[3] = {0};
  printf("%sdevice: %s%s\n", cli_begin(stdout, CLI_BOLD), report->device, cli_end(stdout));
  for (size_t i = 0; i < CLAIM_COUNT; i++) {
    const cli_claim *one = &report->claims[i];
    counts[one->verdict]++;
    printf("%s%-4s%s  %s", cli_begin(stdout, styles[one->verdict]), marks[one->verdict], cli_end(stdout),
           cli_begin(stdout, CLI_BOLD));
    cli_wrap(stdout, one->text, 6, 6);
    printf("%s%6s%s", cli_end(stdout), "", cli_begin(stdout, CLI_DIM));
    cli_wrap(stdout, one->evidence, 6, 6);
    fputs(cli_end(stdout), stdout);
  }
  printf("\n%u pass, %u fail, %u not applicable\n", counts[CLAIM_PASS], counts[CLAIM_FAIL],
         counts[CLAIM_NOT_APPLICABLE]);
}

static void print_json(const claim_report *report) {
  printf("{\n  \"device\": ");
  cli_json_string(stdout, report->device);
  printf(",\n  \"claims\": [\n");
  for (size_t i = 0; i < CLAIM_COUNT; i++) {
    const cli_claim *one = &report->claims[i];
    printf("    {\"name\": \"%s\", \"claim\": ", one->name);
    cli_json_string(stdout, one->text);
    printf(",\n     \"evidence\": ");
    cli_json_string(stdout, one->evidence);
    printf(",\n     \"verdict\": \"%s\"}%s\n", claim_verdict_text(one->verdict),
           i + 1 == CLAIM_COUNT ? "" : ",");
  }
  printf("  ]\n}\n");
}

cli_exit cli_prove(const cli_arguments *arguments) {
  const cli_options *options = &arguments->options;
  char model[CLI_PATH_BYTES];
  claim_report report;
  dw_error error = {0};
  const claim_environment environment = {.device = options->device,
                                         .threads = (uint32_t)options->threads,
                                         .cache_dir = cli_cache_folder(),
                                         .guest_path = guest_path,
                                         .model_path = cli_find_model(NULL, model) ? model : NULL,
                                         .on_begin = on_begin,
                                         .user = (void *)options};
  if (claims_run(&environment, &report, &error) != DW_OK)
    return cli_fail(&error, "device %s", options->device ? options->device : "auto");
  cli_status_clear();
  if (options->json)
    print_json(&report);
  else
    print_report(&report);
  for (size_t i = 0; i < CLAIM_COUNT; i++)
    if (report.claims[i].verdict == CLAIM_FAIL) return CLI_FAILED;
  return CLI_OK;
}
