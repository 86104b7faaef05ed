#include "engine/layers/attribute_convolution.hpp"

#include <utility>

#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

constexpr float kAttributeDeviation = 1.0f;   // of the table
constexpr float kProjectionDeviation = 0.1f;  // of the items' own rows, too

}  // namespace

AttributeConvolution::AttributeConvolution(Context& context, HostCsr attributes, int64_t n_items,
                                           Convolution::Shape shape, int64_t dim, bool with_backward)
    : n_items_(n_items),
      length_(n_items > 0 ? attributes.n_rows() / n_items : 0),
      host_attributes_(std::move(attributes)),
      attributes_(context, host_attributes_, with_backward),
      table_(make_parameter(context, "attribute_table", host_attributes_.n_columns, shape.channels)),
      convolution_(context, "attribute_filters", shape),
      projection_(context, "attribute_projection", std::ssize(shape.widths) * shape.filters, dim,
                  {.deviation = kProjectionDeviation}) {
  convolution_.out_cols(length_ * shape.channels);
}

MatrixView<float> AttributeConvolution::take_inputs(Pass& pass) const {
  return pass.take(n_items_, length_ * shape().channels);
}

MatrixView<float> AttributeConvolution::take_pooled(Pass& pass) const {
  return pass.take(n_items_, projection_.weight.cols);
}

void AttributeConvolution::forward(Pass& pass, MatrixView<float> out) const {
  const MatrixView<float> x = take_inputs(pass), pooled = take_pooled(pass);
  attributes_.forward(pass.context, table_.matrix(), {x.data, n_items_ * length_, table_.cols});
  convolution_.forward(pass, x, pooled);
  projection_.forward(pass, pooled, out);
}

void AttributeConvolution::backward(Pass& pass, MatrixView<float> d_out) {
  const MatrixView<float> d_pooled = take_pooled(pass), d_x = take_inputs(pass);
  projection_.backward(pass, d_out, d_pooled);
  convolution_.backward(pass, d_pooled, d_x);
  attributes_.backward(pass.context, {d_x.data, n_items_ * length_, table_.cols}, table_.gradient_matrix());
}

std::vector<Parameter*> AttributeConvolution::parameters() {
  std::vector<Parameter*> all{&table_};
  for (Parameter* p : convolution_.parameters()) all.push_back(p);
  for (Parameter* p : projection_.parameters()) all.push_back(p);
  return all;
}

void AttributeConvolution::initialise(Initialiser& from) {
  table_.value.assign(normal_values(table_.rows, table_.cols, from.seed, from.next_table++, kAttributeDeviation));
  convolution_.initialise(from);
  projection_.initialise(from);
}

}  // namespace sheaf
