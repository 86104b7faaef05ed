#pragma once
/// A named interval of host time that Nsight shows (NVTX, default domain). Phases, ops and training steps have one
/// each.
///
///   const Range range("train");
///
/// Costs one load and a branch while no profiler listens, and an empty call in builds without CUDA.

namespace sheaf {

class Range {
 public:
  /// `name` is copied.
  explicit Range(const char* name);
  ~Range();
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
};

}  // namespace sheaf
