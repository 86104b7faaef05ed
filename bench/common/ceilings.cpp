#include "bench/common/ceilings.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <random>

#include "bench/common/cublas.hpp"
#include "kernels/core/blas_cpu.hpp"
#include "kernels/core/buffer.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/core/probe.hpp"
#include "kernels/core/stopwatch.hpp"

namespace sheaf::bench {
namespace {

constexpr int kTries = 15;
constexpr int64_t kFloats = int64_t{1} << 26;  // 256 MiB: more than the caches hold

// Seconds of the fastest of a few runs; the first one is not counted.
template <class Run>
double best_seconds(Context& context, const Run& run) {
  Stopwatch watch(context);
  run();
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kTries; ++i) {
    watch.start();
    run();
    best = std::min(best, watch.stop());
  }
  return best;
}

double measure_copy(Context& context, Buffer<float>& memory) {
  const ProbeCopyArgs args{.in = {memory.data(), kFloats / 2}, .out = {memory.data() + kFloats / 2, kFloats / 2}};
  return static_cast<double>(probe_copy_cost(args).bytes) / best_seconds(context, [&] { probe_copy(context, args); });
}

double measure_gather(Context& context, Buffer<float>& memory, int64_t row_bytes) {
  const int64_t dim = row_bytes / static_cast<int64_t>(sizeof(float));
  const int64_t n_rows = kFloats / dim;
  std::mt19937 engine(1);
  std::uniform_int_distribution<int32_t> row(0, static_cast<int32_t>(n_rows) - 1);
  std::vector<int32_t> host_ids(static_cast<size_t>(std::min(n_rows, int64_t{1} << 18)));
  for (int32_t& id : host_ids) id = row(engine);
  const Buffer<int32_t> ids(context, host_ids);
  Buffer<float> sums(context, ids.size());
  const ProbeGatherArgs args{.table = memory.matrix(n_rows, dim), .ids = ids.view(), .sums = sums.view()};
  return static_cast<double>(probe_gather_cost(args).bytes) /
         best_seconds(context, [&] { probe_gather(context, args); });
}

double measure_fma(Context& context) {
  Buffer<float> out = Buffer<float>::zeros(context, context.on_cpu() ? 1024 : int64_t{1} << 20);
  const ProbeFmaArgs args{.steps = context.on_cpu() ? 1 << 14 : 1 << 12, .out = out.view()};
  return static_cast<double>(probe_fma_cost(args).flops) / best_seconds(context, [&] { probe_fma(context, args); });
}

double measure_blas(Context& context) {
  cpu::reserve_gemm(context);
  constexpr int64_t kSize = 768, kRows = 128;
  std::vector<float> a(kSize * kSize, 0.5f), b(kSize * kSize, 0.25f), c(kSize * kSize);
  const double seconds = best_seconds(context, [&] {
    parallel_for(context, kSize, kRows, [&](int64_t begin, int64_t end) {
      cpu::gemm({.m = end - begin,
                 .n = kSize,
                 .k = kSize,
                 .a = a.data() + begin * kSize,
                 .lda = kSize,
                 .transpose_a = false,
                 .b = b.data(),
                 .ldb = kSize,
                 .transpose_b = false,
                 .beta = 0.0f,
                 .c = c.data() + begin * kSize,
                 .ldc = kSize});
    });
  });
  return 2.0 * kSize * kSize * kSize / seconds;
}

// Random signs and mantissas, since a GPU clocks higher on constants; finite as fp32, fp16 and bf16 alike.
std::vector<uint16_t> random_halves(int64_t n) {
  std::mt19937 engine(2);
  std::vector<uint16_t> bits(static_cast<size_t>(n));
  for (uint16_t& b : bits) b = static_cast<uint16_t>((engine() & 0x83ffu) | 0x3800u);
  return bits;
}

void measure_cublas(Context& context, Ceilings& ceilings) {
  constexpr int kSize = 8192;
  constexpr int64_t kHalves = int64_t{2} * kSize * kSize, kPiece = int64_t{1} << 22;
  const std::unique_ptr<Cublas> cublas = Cublas::open(context);
  if (cublas == nullptr) {
    ceilings.matmul_note = "no libcublas on this machine";
    return;
  }
  const std::vector<uint16_t> piece = random_halves(kPiece);
  Buffer<uint16_t> a(context, kHalves), b(context, kHalves), c(context, kHalves);
  for (Buffer<uint16_t>* buffer : {&a, &b}) {
    for (int64_t at = 0; at < kHalves; at += kPiece) {
      context.copy_from_host(buffer->data() + at, piece.data(), piece.size() * sizeof(uint16_t));
    }
  }
  for (const MatmulType& type : Cublas::types()) {
    check_interrupt("the ceilings");
    bool can = true;
    const double seconds =
        best_seconds(context, [&] { can = cublas->matmul(type, kSize, a.data(), b.data(), c.data()) && can; });
    if (can) ceilings.matmul.emplace_back(type.name, 2.0 * kSize * kSize * kSize / seconds);
  }
}

}  // namespace

double Ceilings::bandwidth(int64_t gathered_row_bytes) const {
  if (gathered_row_bytes == 0) return copy;
  double found = gather.front().second;
  for (const auto& [row_bytes, bytes_per_second] : gather) {
    if (row_bytes <= gathered_row_bytes) found = bytes_per_second;
  }
  return found;
}

double Ceilings::flops() const {
  double best = fma;
  for (const auto& [type, rate] : matmul) {
    if (type == "fp32") best = std::max(best, rate);
  }
  return best;
}

double Ceilings::floor_seconds(const OpCost& cost, int64_t gathered_row_bytes) const {
  return std::max(static_cast<double>(cost.bytes) / bandwidth(gathered_row_bytes),
                  static_cast<double>(cost.flops) / flops());
}

Ceilings measure_ceilings(Context& context) {
  Ceilings ceilings;
  Buffer<float> memory = Buffer<float>::zeros(context, kFloats);
  ceilings.copy = measure_copy(context, memory);
  for (int64_t row_bytes = 32; row_bytes <= 2048; row_bytes *= 2) {
    check_interrupt("the ceilings");
    ceilings.gather.emplace_back(row_bytes, measure_gather(context, memory, row_bytes));
  }
  ceilings.fma = measure_fma(context);
  if (context.on_cpu()) {
    ceilings.matmul.emplace_back("fp32", measure_blas(context));
  } else {
    measure_cublas(context, ceilings);
  }
  return ceilings;
}

}  // namespace sheaf::bench
