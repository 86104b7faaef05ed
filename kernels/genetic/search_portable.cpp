#include "kernels/genetic/search_vector.hpp"

namespace sheaf::genetic::cpu {

const SearchKernel kPortableSearch{"portable", run<VectorLanes>};

}  // namespace sheaf::genetic::cpu
