/// gpu_plants TOOL: one bug for each tool of compute-sanitizer. The tool must report it before its silence about
/// anything else counts. `none` runs the same kernels without their bugs. Exit codes are those of the program: 0
/// whatever the bug did, 2 usage, 4 no device.

#include <cuda_runtime.h>

#include <cstdio>
#include <string>

namespace {

constexpr int kThreads = 64;  // two warps
constexpr unsigned kAllLanes = 0xffffffffu;

// memcheck: with one thread too many, an index one past the end.
__global__ void fill(int* out) { out[threadIdx.x] = static_cast<int>(threadIdx.x); }

// racecheck: without the barrier, a read of what a thread of the other warp writes.
__global__ void rotate(int* out, bool with_barrier) {
  __shared__ volatile int cell[kThreads];
  cell[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (with_barrier) __syncthreads();
  out[threadIdx.x] = cell[(threadIdx.x + kThreads / 2) % kThreads];
}

// initcheck: `in` may never have been written.
__global__ void copy(int* out, const int* in) { out[threadIdx.x] = in[threadIdx.x]; }

// synccheck: lane `last` waits at a warp barrier whose mask holds only the lanes before kHalf.
__global__ void wait_for_half(int* out, unsigned last) {
  constexpr unsigned kHalf = 16;
  const unsigned mask = __ballot_sync(kAllLanes, threadIdx.x < kHalf);
  if (threadIdx.x <= last) {
    __syncwarp(mask);
    out[threadIdx.x] = 1;
  }
}

int run(const std::string& plant) {
  int *in = nullptr, *out = nullptr;
  if (cudaMalloc(&in, kThreads * sizeof(int)) != cudaSuccess ||
      cudaMalloc(&out, kThreads * sizeof(int)) != cudaSuccess) {
    std::fprintf(stderr, "gpu_plants: %s\n", cudaGetErrorString(cudaGetLastError()));
    return 1;
  }
  if (plant != "initcheck") cudaMemset(in, 0, kThreads * sizeof(int));
  fill<<<1, plant == "memcheck" ? kThreads + 1 : kThreads>>>(out);
  rotate<<<1, kThreads>>>(out, plant != "racecheck");
  copy<<<1, kThreads>>>(out, in);
  wait_for_half<<<1, 32>>>(out, plant == "synccheck" ? 16 : 15);
  const cudaError_t status = cudaDeviceSynchronize();
  std::printf("gpu_plants %s: %s\n", plant.c_str(), cudaGetErrorString(status));
  cudaFree(in);
  cudaFree(out);
  return plant == "none" && status != cudaSuccess ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string plant = argc == 2 ? argv[1] : "";
  for (const char* known : {"none", "memcheck", "racecheck", "initcheck", "synccheck"}) {
    if (plant != known) continue;
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaSuccess && count > 0) return run(plant);
    std::fprintf(stderr, "gpu_plants: no CUDA device: %s\n", cudaGetErrorString(status));
    return 4;
  }
  std::fprintf(stderr, "gpu_plants: say none, memcheck, racecheck, initcheck or synccheck\n");
  return 2;
}
