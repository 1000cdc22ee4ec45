/* A plugin of qemu-user (-plugin file=...): says at the end how many instructions were executed. What it takes of the
   interface, version 1, is declared here: Debian's qemu-user brings no header. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

typedef uint64_t Plugin;
struct Block;

int qemu_plugin_version = 1;
enum { ADD = 0 };
void qemu_plugin_register_vcpu_tb_trans_cb(Plugin, void (*)(Plugin, struct Block*));
void qemu_plugin_register_vcpu_tb_exec_inline(struct Block*, int, void*, uint64_t);
void qemu_plugin_register_atexit_cb(Plugin, void (*)(Plugin, void*), void*);
size_t qemu_plugin_tb_n_insns(const struct Block*);

static uint64_t executed;

static void translated(Plugin plugin, struct Block* block) {
    (void)plugin;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD, &executed, qemu_plugin_tb_n_insns(block));
}

static void ended(Plugin plugin, void* nothing) {
    (void)plugin, (void)nothing;
    fprintf(stderr, "%" PRIu64 "\n", executed);
}

int qemu_plugin_install(Plugin plugin, const void* info, int count, char** words) {
    (void)info, (void)count, (void)words;
    qemu_plugin_register_vcpu_tb_trans_cb(plugin, translated);
    qemu_plugin_register_atexit_cb(plugin, ended, NULL);
    return 0;
}
