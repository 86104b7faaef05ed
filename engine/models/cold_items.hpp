#pragma once
/// Vectors of cold items, which nobody bought in the training period: what the features of the others say of theirs.
/// With x_i the features of item i (feature_matrix()), y_i what a model learned of it and n_i the users who bought it,
///
///   least  sum over items with n_i > 0 of w_i |y_i - (x_i - m) B - c|^2 + strength |B|^2,    w_i = n_i / (n_i + 10)
///
/// (ridge regression: Hoerl and Kennard, 1970), where m and c are the weighted means of x and y. A cold item takes
/// (x_i - m) B + c. The weights are those of a y_i with an error of its own beside one that falls with 1 / n_i. The
/// strength is that of 1 to 1000 with the least weighted error on a fifth of the items that is held out, and beyond all
/// where no B is better than none: then y is the mean. Sums are in double on the host, the inverse is on the device.

#include <functional>
#include <string>
#include <vector>

#include "engine/data/catalog.hpp"
#include "engine/layers/parameter.hpp"

namespace sheaf {

class ColdItems {
 public:
  /// By the rows of catalog.fields, numbers and vectors; `train` [n_users, n_items]. A feature that less than two items
  /// with purchases have tells nothing of others and is left out, and of more than 1024 the rarest.
  ColdItems(Context& context, const Catalog& catalog, const HostCsr& train);

  /// Ascending.
  const std::vector<int32_t>& items() const { return cold_; }
  /// Replaces the rows of the cold items in the first n_items rows of `rows` [.., cols]: by their prediction, or by 0
  /// if no feature tells anything.
  void fill(Context& context, std::vector<float>& rows, int64_t cols);
  void fill(Context& context, Buffer<float>& rows, int64_t cols);
  /// The same of biases [..]; they stay as they are if no feature tells anything.
  template <class Values>
  void fill_bias(Context& context, Values& bias) {
    if (tells()) fill(context, bias, 1);
  }
  /// The share of what the first table of fill() tells of items apart that the features explain, on items held out; 0
  /// before. In [0, 1].
  double explained() const { return explained_; }
  /// A line for people, unless there are no cold items or nobody listens.
  void note(const std::function<void(const std::string&)>& on_note) const;

 private:
  /// The equations of some of the items.
  struct Equations {
    std::vector<int32_t> items;
    std::vector<double> mean;  // [n_columns] m
    std::vector<double> gram;  // [n_columns, n_columns] sum of w (x - m) (x - m)^T
  };
  /// x B + constant
  struct Prediction {
    std::vector<double> weights;   // [n_columns, cols] B
    std::vector<double> constant;  // [cols] c - m B
  };

  int64_t n_columns() const { return features_.n_columns; }
  bool tells() const { return n_columns() > 0; }
  Equations equations_of(std::vector<int32_t> items) const;
  Buffer<float> inverse_of(Context& context, const Equations& of, double strength) const;
  /// Without an inverse: weights of 0.
  Prediction solve(Context& context, const Equations& of, const Buffer<float>& inverse, const std::vector<float>& rows,
                   int64_t cols) const;
  /// [cols] for item i.
  std::vector<double> predicted(const Prediction& by, int32_t item) const;
  /// The weighted squared error on held_out_.
  double error_of(const Prediction& by, const std::vector<float>& rows, int64_t cols) const;
  Prediction best(Context& context, const std::vector<float>& rows, int64_t cols);

  HostCsr features_;            // [n_items, n_columns] of those that tell something, with values
  std::vector<double> weight_;  // [n_items] w
  std::vector<int32_t> cold_;   // without purchases
  std::vector<int32_t> held_out_;
  Equations chosen_by_, all_;            // of the items that are not held out; of all with purchases
  std::vector<Buffer<float>> inverses_;  // of chosen_by_, one for each strength
  bool has_explained_ = false;
  double explained_ = 0.0;
};

}  // namespace sheaf
