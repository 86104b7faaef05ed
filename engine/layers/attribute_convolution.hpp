#pragma once
/// What the attributes of an item say together: a vector from the sequence of its attributes, where neighbours decide
/// (a_ik is the vector of the item's k-th attribute in the catalog's order of fields, then of numbers):
///
///   a_ik = the table's row of the value; z times the row of a number z (a missing one is 0)
///   p_i  = for each width, max or mean over the positions of max(0, filters over neighbouring a_ik + bias)
///   v_i  = W p_i + b                                                                     [dim]
///
/// A sum of single attributes (PairTables' bags) cannot say that two of them mean something only together; v_i can.

#include "engine/data/csr.hpp"
#include "engine/layers/convolution.hpp"
#include "engine/layers/embedding_bag.hpp"
#include "engine/layers/linear.hpp"

namespace sheaf {

class AttributeConvolution {
 public:
  /// `attributes` [n_items * length, n_values], the rows of an item together (attribute_sequences()). UsageError for a
  /// width above the length. Only `with_backward` it can be trained.
  AttributeConvolution(Context& context, HostCsr attributes, int64_t n_items, Convolution::Shape shape, int64_t dim,
                       bool with_backward);

  int64_t n_items() const { return n_items_; }
  int64_t length() const { return length_; }
  const HostCsr& attributes() const { return host_attributes_; }
  const Convolution::Shape& shape() const { return convolution_.shape(); }

  /// v [n_items, dim]
  void forward(Pass& pass, MatrixView<float> out) const;
  /// The gradients of all parameters; d_out may be overwritten.
  void backward(Pass& pass, MatrixView<float> d_out);
  /// Table, filters, projection.
  std::vector<Parameter*> parameters();
  /// Rows of the table of deviation 1; the projection makes v of deviation 0.1 or less, as the items' own rows are.
  void initialise(Initialiser& from);

 private:
  MatrixView<float> take_inputs(Pass& pass) const;
  MatrixView<float> take_pooled(Pass& pass) const;

  int64_t n_items_, length_;
  HostCsr host_attributes_;
  EmbeddingBag attributes_;
  Parameter table_;  // [n_values, channels]
  Convolution convolution_;
  Linear projection_;
};

}  // namespace sheaf
