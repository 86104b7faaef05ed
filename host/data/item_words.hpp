#pragma once
/// The words that describe each item of a prepared set, as a sparse matrix of counts for engine/bundles/text_vectors.hpp.

#include "engine/data/csr.hpp"
#include "host/data/prepared.hpp"

namespace sheaf::data {

/// [n_items, n_words], values = how often. Words, numbered as they first come:
/// - of the name: runs of ASCII letters, digits and bytes of other alphabets, in lower case, a plural s dropped (buns -> bun; not of
///   words of up to three letters, nor of -ss). An item that is named by its id has none.
/// - of the category and of every categorical field: each value is one word, apart from the words of names; a value that is a path or a
///   list ("Electronics > Cables; Office") is one for each part, parted by '>', ';' or '|'. An empty one is none.
HostCsr item_words(const data::Prepared& prepared);

}  // namespace sheaf::data
