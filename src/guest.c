// Guests: what a module must and may not have, and the cache of compiled ones.
//
// A cache entry is a small header with the SHA-256 of the entry's key and of what
// follows, then Wasmtime's serialised module.  Wasmtime trusts what it deserialises, so an
// entry is taken only from a file that this user owns and nobody else can write,
// read once into memory, and only if its digest is right.
#include "runtime.h"

#include "sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_GUEST_BYTES (UINT64_C(256) << 20)
#define ENTRY_MAGIC {'D', 'W', 'M', 'O', 'D', 0, 0, 2}

typedef struct entry_header {
  char magic[8];
  unsigned char digest[32];    // of the key and the rest of the file
} entry_header;

// ---- What a module has to look like -------------------------------------------------

static dw_status check_imports(const wasmtime_module_t *module, dw_error *error) {
  wasm_importtype_vec_t imports;
  wasmtime_module_imports(module, &imports);
  dw_status status = DW_OK;
  for (size_t i = 0; i < imports.size && status == DW_OK; i++) {
    const wasm_name_t *from = wasm_importtype_module(imports.data[i]), *name = wasm_importtype_name(imports.data[i]);
    bool function = wasm_externtype_kind(wasm_importtype_type(imports.data[i])) == WASM_EXTERN_FUNC;
    if (!function || !dw_host_offers(from->data, from->size, name->data, name->size))
      status = dw_fail(error, DW_UNSUPPORTED, "the guest imports %s %.*s.%.*s, which this host does not offer",
                       function ? "the function" : "an object", (int)from->size, from->data, (int)name->size,
                       name->data);
  }
  wasm_importtype_vec_delete(&imports);
  return status;
}

static bool is_i32(const wasm_valtype_vec_t *types, size_t count) {
  return types->size == count && (!count || wasm_valtype_kind(types->data[0]) == WASM_I32);
}

static const wasm_externtype_t *find_export(const wasm_exporttype_vec_t *exports, const char *name) {
  for (size_t i = 0; i < exports->size; i++) {
    const wasm_name_t *found = wasm_exporttype_name(exports->data[i]);
    if (found->size == strlen(name) && memcmp(found->data, name, found->size) == 0)
      return wasm_exporttype_type(exports->data[i]);
  }
  return NULL;
}

static dw_status check_function(const wasm_exporttype_vec_t *exports, const char *name, size_t parameters, size_t results,
                                bool required, dw_error *error) {
  const wasm_externtype_t *type = find_export(exports, name);
  if (!type && !required) return DW_OK;
  if (!type) return dw_fail(error, DW_FORMAT, "the guest does not export %s", name);
  const wasm_functype_t *function = wasm_externtype_as_functype_const(type);
  if (!function || !is_i32(wasm_functype_params(function), parameters) ||
      !is_i32(wasm_functype_results(function), results))
    return dw_fail(error, DW_FORMAT, "the guest's export %s should be a function (%s) -> %s", name,
                   parameters ? "i32" : "", results ? "i32" : "nothing");
  return DW_OK;
}

static dw_status check_exports(const wasmtime_module_t *module, dw_error *error) {
  wasm_exporttype_vec_t exports;
  wasmtime_module_exports(module, &exports);
  dw_status status = check_function(&exports, "driftwood_open", 1, 1, true, error);
  if (status == DW_OK) status = check_function(&exports, "driftwood_message", 1, 1, true, error);
  if (status == DW_OK) status = check_function(&exports, "driftwood_step", 0, 1, true, error);
  if (status == DW_OK) status = check_function(&exports, "_initialize", 0, 0, false, error);
  const wasm_externtype_t *memory = find_export(&exports, "memory");
  const wasm_memorytype_t *type = memory ? wasm_externtype_as_memorytype_const(memory) : NULL;
  if (status == DW_OK && !type) status = dw_fail(error, DW_FORMAT, "the guest does not export its memory as \"memory\"");
  if (status == DW_OK && (wasmtime_memorytype_is64(type) || wasmtime_memorytype_isshared(type)))
    status = dw_fail(error, DW_UNSUPPORTED, "the guest's memory is 64-bit or shared");
  wasm_exporttype_vec_delete(&exports);
  return status;
}

// ---- The cache ----------------------------------------------------------------------

static void entry_digest(const void *wasm, size_t size_bytes, unsigned char *digest, unsigned char *key) {
  dw_sha256_of(wasm, size_bytes, digest);
  // The settings that change the compiled form are those of this file's version.
  unsigned char seed[32 + sizeof WASMTIME_VERSION + 1];
  memcpy(seed, digest, 32);
  memcpy(seed + 32, WASMTIME_VERSION, sizeof WASMTIME_VERSION);
  seed[sizeof seed - 1] = 1;
  dw_sha256_of(seed, sizeof seed, key);
}

static void entry_path(const dw_engine *engine, const unsigned char *key, char *path, size_t capacity) {
  char hex[65];
  for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", key[i]);
  snprintf(path, capacity, "%s/%s.cwasm", engine->cache_dir, hex);
}

// With the key in it, a guest's entry under the name of another's is none.
static void content_digest(const unsigned char *key, const void *bytes, size_t size_bytes, unsigned char *digest) {
  dw_sha256 hash;
  dw_sha256_begin(&hash);
  dw_sha256_add(&hash, key, 32);
  dw_sha256_add(&hash, bytes, size_bytes);
  dw_sha256_end(&hash, digest);
}

static bool read_all(int fd, void *bytes, size_t size_bytes) {
  for (size_t done = 0; done < size_bytes;) {
    ssize_t got = read(fd, (char *)bytes + done, size_bytes - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += (size_t)got;
  }
  return true;
}

static bool write_all(int fd, const void *bytes, size_t size_bytes) {
  for (size_t done = 0; done < size_bytes;) {
    ssize_t put = write(fd, (const char *)bytes + done, size_bytes - done);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    done += (size_t)put;
  }
  return true;
}

static bool only_ours(const struct stat *info) {
  return S_ISREG(info->st_mode) && info->st_uid == geteuid() && !(info->st_mode & (S_IWGRP | S_IWOTH));
}

static wasmtime_module_t *read_entry(dw_engine *engine, const char *path, const unsigned char *key) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return NULL;
  struct stat info;
  unsigned char *bytes = NULL;
  wasmtime_module_t *module = NULL;
  entry_header header;
  if (fstat(fd, &info) == 0 && only_ours(&info) && info.st_size > (off_t)sizeof header &&
      (uint64_t)info.st_size < 8 * MAX_GUEST_BYTES && read_all(fd, &header, sizeof header) &&
      memcmp(header.magic, (const char[])ENTRY_MAGIC, sizeof header.magic) == 0) {
    size_t size_bytes = (size_t)info.st_size - sizeof header;
    unsigned char digest[32];
    bytes = malloc(size_bytes);
    if (bytes && read_all(fd, bytes, size_bytes)) {
      content_digest(key, bytes, size_bytes, digest);
      wasmtime_error_t *failed = NULL;
      if (memcmp(digest, header.digest, sizeof digest) == 0)
        failed = wasmtime_module_deserialize(engine->wasm, bytes, size_bytes, &module);
      if (failed) {
        wasmtime_error_delete(failed);
        module = NULL;
      }
    }
  }
  free(bytes);
  close(fd);
  return module;
}

// A cache that cannot be written costs time, nothing else; the log says so.
static void write_entry(dw_engine *engine, const char *path, const unsigned char *key, wasmtime_module_t *module) {
  wasm_byte_vec_t bytes;
  wasmtime_error_t *failed = wasmtime_module_serialize(module, &bytes);
  if (failed) {
    wasmtime_error_delete(failed);
    return;
  }
  entry_header header = {.magic = ENTRY_MAGIC};
  content_digest(key, bytes.data, bytes.size, header.digest);
  char temporary[4200];
  snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
  int fd = mkstemp(temporary); // 0600
  bool written = fd >= 0 && write_all(fd, &header, sizeof header) && write_all(fd, bytes.data, bytes.size);
  if (fd >= 0) written = close(fd) == 0 && written;
  if (written) written = rename(temporary, path) == 0;
  if (!written) {
    char line[4300];
    snprintf(line, sizeof line, "the compiled guest could not be kept in %s: %s", engine->cache_dir, strerror(errno));
    dw_engine_log(engine, DW_LOG_WARNING, NULL, line);
    if (fd >= 0) unlink(temporary);
  }
  wasm_byte_vec_delete(&bytes);
}

// ---- Loading ------------------------------------------------------------------------

static dw_status compile(dw_guest *guest, const void *wasm, size_t size_bytes, dw_error *error) {
  dw_engine *engine = guest->engine;
  unsigned char key[32];
  char path[4100];
  entry_digest(wasm, size_bytes, guest->digest, key);
  if (engine->cache_dir) {
    entry_path(engine, key, path, sizeof path);
    guest->module = read_entry(engine, path, key);
    guest->was_cached = guest->module != NULL;
  }
  if (guest->module) return DW_OK;
  wasmtime_error_t *failed = wasmtime_module_new(engine->wasm, wasm, size_bytes, &guest->module);
  if (failed) return dw_wasm_fail(error, DW_FORMAT, "the guest is not a module that this host runs", failed, NULL);
  return DW_OK;
}

dw_status dw_guest_load_bytes(dw_engine *engine, const void *wasm, size_t size_bytes, dw_guest **answer,
                              dw_error *error) {
  dw_guest *guest = calloc(1, sizeof *guest);
  if (!guest) return dw_fail(error, DW_NOMEM, "guest");
  guest->engine = engine;
  guest->references = 1;
  pthread_mutex_lock(&engine->lock);
  engine->guest_count++;
  pthread_mutex_unlock(&engine->lock);
  dw_status status = compile(guest, wasm, size_bytes, error);
  if (status == DW_OK) status = check_imports(guest->module, error);
  if (status == DW_OK) status = check_exports(guest->module, error);
  if (status == DW_OK) {
    wasmtime_error_t *failed = wasmtime_linker_instantiate_pre(engine->linker, guest->module, &guest->pre);
    if (failed) status = dw_wasm_fail(error, DW_FORMAT, "the guest's imports", failed, NULL);
  }
  if (status != DW_OK) {
    dw_guest_close(guest);
    return status;
  }
  if (engine->cache_dir && !guest->was_cached) {
    unsigned char digest[32], key[32];
    char path[4100];
    entry_digest(wasm, size_bytes, digest, key);
    entry_path(engine, key, path, sizeof path);
    write_entry(engine, path, key, guest->module);
  }
  *answer = guest;
  return DW_OK;
}

dw_status dw_guest_load(dw_engine *engine, const char *path, dw_guest **guest, dw_error *error) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return dw_fail_errno(error, errno, path);
  struct stat info;
  dw_status status = DW_OK;
  unsigned char *bytes = NULL;
  if (fstat(fd, &info) != 0) status = dw_fail_errno(error, errno, path);
  else if (!S_ISREG(info.st_mode) || (uint64_t)info.st_size > MAX_GUEST_BYTES)
    status = dw_fail(error, DW_LIMIT, "%s is no file, or larger than %" PRIu64 " bytes", path, MAX_GUEST_BYTES);
  else if (!(bytes = malloc((size_t)info.st_size + 1))) status = dw_fail(error, DW_NOMEM, "guest");
  else if (!read_all(fd, bytes, (size_t)info.st_size)) status = dw_fail(error, DW_IO, "%s: cut off", path);
  close(fd);
  if (status == DW_OK) status = dw_guest_load_bytes(engine, bytes, (size_t)info.st_size, guest, error);
  free(bytes);
  return status;
}

void dw_guest_close(dw_guest *guest) {
  if (!guest || atomic_fetch_sub(&guest->references, 1) != 1) return;
  if (guest->pre) wasmtime_instance_pre_delete(guest->pre);
  if (guest->module) wasmtime_module_delete(guest->module);
  pthread_mutex_lock(&guest->engine->lock);
  guest->engine->guest_count--;
  pthread_mutex_unlock(&guest->engine->lock);
  free(guest);
}

bool dw_guest_was_cached(const dw_guest *guest) { return guest->was_cached; }
