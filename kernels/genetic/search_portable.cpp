#include "kernels/genetic/search_vector.hpp"

namespace sheaf::genetic::cpu {

const SearchKernel kPortableSearch{"portable", run<VectorTeam>};

}  // namespace sheaf::genetic::cpu
