/// A listener for NVTX ranges that needs no profiler and no GPU. NVTX_INJECTION64_PATH names this library.
/// SHEAF_NVTX_LOG names the file that gets one line for each event, "+name" or "-".

#include <nvtx3/nvToolsExt.h>

#include <cstdio>
#include <cstdlib>

namespace {

std::FILE* events = nullptr;
int depth = 0;

int push(const char* name) {
  std::fprintf(events, "+%s\n", name);
  return depth++;
}
int pop() {
  std::fprintf(events, "-\n");
  return --depth;
}

template <class F>
void listen(NvtxFunctionTable table, NvtxCallbackIdCore id, F* function) {
  *table[id] = reinterpret_cast<NvtxFunctionPointer>(function);
}

}  // namespace

/// Called by the first NVTX call of the program. 1: the functions are in place.
extern "C" int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t get_export_table) {
  const char* path = std::getenv("SHEAF_NVTX_LOG");
  events = path ? std::fopen(path, "w") : nullptr;
  const auto* callbacks = static_cast<const NvtxExportTableCallbacks*>(get_export_table(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable table = nullptr;
  unsigned size = 0;
  if (!events || !callbacks || !callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE, &table, &size)) return 0;
  if (size <= NVTX_CBID_CORE_RangePop) return 0;
  listen(table, NVTX_CBID_CORE_RangePushA, push);
  listen(table, NVTX_CBID_CORE_RangePop, pop);
  return 1;
}
