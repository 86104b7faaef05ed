#pragma once
/// The parts of a benchmark: a shape of named axes, a Case that owns the inputs of one op on one shape, and the suites
/// that hold them.

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"

namespace sheaf::bench {

class ArrayFolder;

/// Named sizes in the order in which they are printed: {{"n_rows", 100000}, {"dim", 64}}.
class Shape {
 public:
  Shape(std::initializer_list<std::pair<std::string, int64_t>> axes) : axes_(axes) {}

  /// Throws std::out_of_range for a name that it does not have.
  int64_t operator[](const std::string& axis) const;
  /// "n_rows:100000/dim:64"
  std::string text() const;
  const std::vector<std::pair<std::string, int64_t>>& axes() const { return axes_; }

 private:
  std::vector<std::pair<std::string, int64_t>> axes_;
};

/// What a run does, in the words of its field: {81920, "lookups"}. No name: bytes and flops say it all.
struct Units {
  double count = 0.0;
  std::string name;
};

/// One op on one shape: the constructor puts the inputs on the context's device and poisons the outputs.
class Case {
 public:
  virtual ~Case() = default;

  /// Issues the op once; it need not have finished on return.
  virtual void run() = 0;
  /// After one run(): empty when the result agrees with the oracle, else what is wrong.
  virtual std::string fault() = 0;
  /// Compulsory work of one run.
  virtual OpCost cost() const = 0;
  /// Bytes of the rows that the op picks at random, 0 when it streams: decides which bandwidth limits it.
  virtual int64_t gathered_row_bytes() const { return 0; }
  virtual Units units() const { return {}; }
  /// After one run(): writes inputs and results, for the ops that bench/peers does in other systems.
  virtual void export_arrays(const ArrayFolder&) const {}
};

struct Benchmark {
  std::string family;
  std::string op;
  Shape shape;
  std::function<std::unique_ptr<Case>(Context&, const Shape&)> make;

  /// "bag/n_rows:100000/dim:64"
  std::string name() const { return op + "/" + shape.text(); }
};

/// quick: two CPU cores, a minute. full: a GPU. large: shapes of published figures that take tens of GiB of memory.
enum class SuiteSize { quick, full, large };

/// The benchmarks of one run.
class Suite {
 public:
  explicit Suite(SuiteSize size) : size_(size) {}

  /// C is a Case that is made from (Context&, const Shape&).
  template <class C>
  void add(const std::string& family, const std::string& op, const std::vector<Shape>& quick,
           const std::vector<Shape>& full, const std::vector<Shape>& large = {}) {
    for (const Shape& shape : size_ == SuiteSize::quick ? quick : size_ == SuiteSize::full ? full : large) {
      benchmarks_.push_back({family, op, shape, [](Context& context, const Shape& s) -> std::unique_ptr<Case> {
                               return std::make_unique<C>(context, s);
                             }});
    }
  }
  const std::vector<Benchmark>& benchmarks() const { return benchmarks_; }

 private:
  SuiteSize size_;
  std::vector<Benchmark> benchmarks_;
};

}  // namespace sheaf::bench
