#define FASTGMM_AVX512
#define FASTGMM_TABLE table_avx512
#define FASTGMM_ISA_NAME "avx512"
#include "kernels.inl"
