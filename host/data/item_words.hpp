#pragma once
/// The words that describe each item of a prepared set, as a sparse matrix of counts for
/// engine/bundles/text_vectors.hpp.

#include "engine/data/csr.hpp"
#include "host/data/prepared.hpp"

namespace sheaf::data {

/// [n_items, n_words], values = how often. Words are numbered as they first come:
/// - of the name: runs of ASCII letters, digits and bytes of other alphabets, in lower case, without a plural s (buns
///   -> bun; not in words of up to three letters, nor after -ss). An item whose name is its id has none.
/// - of the category and of every categorical field: each value is one word, and never the same as a word of a name. A
///   value that is a path or a list ("Electronics > Cables; Office") is one word for each part, separated by '>', ';'
///   or '|'. An empty value is none.
HostCsr item_words(const data::Prepared& prepared);

}  // namespace sheaf::data
