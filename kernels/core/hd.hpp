#pragma once
/// SHEAF_HD marks a function that the host and the device both run.

#if defined(__CUDACC__)
#define SHEAF_HD __host__ __device__
#else
#define SHEAF_HD
#endif
