#include "bench/common/cublas.hpp"

#include <dlfcn.h>

namespace sheaf::bench {
namespace {

// Of cublas_api.h and library_types.h, whose values are part of the library's ABI.
constexpr int kReal32 = 0, kReal16 = 2, kRealBf16 = 14;  // CUDA_R_32F, CUDA_R_16F, CUDA_R_16BF
constexpr int kCompute32 = 68, kCompute32FastTf32 = 77;  // CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32
constexpr int kNoTranspose = 0, kDefaultAlgorithm = -1;  // CUBLAS_OP_N, CUBLAS_GEMM_DEFAULT
constexpr int kSuccess = 0;                              // CUBLAS_STATUS_SUCCESS
constexpr const char* kNames[] = {"libcublas.so.13", "libcublas.so.12", "libcublas.so"};

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

}  // namespace

struct Cublas::Functions {
  int (*create)(void** handle) = nullptr;
  int (*destroy)(void* handle) = nullptr;
  int (*set_stream)(void* handle, void* stream) = nullptr;
  int (*gemm)(void* handle, int transpose_a, int transpose_b, int m, int n, int k, const void* alpha, const void* a,
              int a_type, int lda, const void* b, int b_type, int ldb, const void* beta, void* c, int c_type, int ldc,
              int compute_type, int algorithm) = nullptr;
};

Cublas::Cublas() : functions_(std::make_unique<Functions>()) {}

Cublas::~Cublas() {
  if (handle_ != nullptr) functions_->destroy(handle_);
}

std::unique_ptr<Cublas> Cublas::open(Context& context) {
  void* library = nullptr;
  for (const char* name : kNames) {
    if (library == nullptr) library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  }
  if (library == nullptr) return nullptr;
  // The library stays open: its teardown at exit is its own.
  std::unique_ptr<Cublas> cublas(new Cublas);
  Functions& f = *cublas->functions_;
  const bool complete = find(library, "cublasCreate_v2", f.create) && find(library, "cublasDestroy_v2", f.destroy) &&
                        find(library, "cublasSetStream_v2", f.set_stream) && find(library, "cublasGemmEx", f.gemm);
  if (!complete || f.create(&cublas->handle_) != kSuccess) return nullptr;
  return f.set_stream(cublas->handle_, context.stream()) == kSuccess ? std::move(cublas) : nullptr;
}

const std::vector<MatmulType>& Cublas::types() {
  static const std::vector<MatmulType> all{{"fp32", kReal32, kCompute32},
                                           {"tf32", kReal32, kCompute32FastTf32},
                                           {"fp16", kReal16, kCompute32},
                                           {"bf16", kRealBf16, kCompute32}};
  return all;
}

bool Cublas::matmul(const MatmulType& type, int n, const void* a, const void* b, void* c) {
  const float one = 1.0f, zero = 0.0f;
  return functions_->gemm(handle_, kNoTranspose, kNoTranspose, n, n, n, &one, a, type.data_type, n, b, type.data_type,
                          n, &zero, c, type.data_type, n, type.compute_type, kDefaultAlgorithm) == kSuccess;
}

}  // namespace sheaf::bench
