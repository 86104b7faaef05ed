#pragma once
/// Matrix products by cuBLAS, which is opened at run time: neither the build nor a machine without it needs it.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/core/context.hpp"

namespace sheaf::bench {

/// What a product multiplies; sums are fp32.
struct MatmulType {
  std::string name;  // fp32, tf32, fp16, bf16
  int data_type;     // cudaDataType of the inputs and the output
  int compute_type;  // cublasComputeType_t
};

class Cublas {
 public:
  /// Null when this machine has no cuBLAS.
  static std::unique_ptr<Cublas> open(Context& context);
  ~Cublas();
  Cublas(const Cublas&) = delete;
  Cublas& operator=(const Cublas&) = delete;

  static const std::vector<MatmulType>& types();
  /// c = a b of [n, n] matrices; false if this device or version cannot.
  bool matmul(const MatmulType& type, int n, const void* a, const void* b, void* c);

 private:
  struct Functions;
  Cublas();
  std::unique_ptr<Functions> functions_;
  void* handle_ = nullptr;
};

}  // namespace sheaf::bench
