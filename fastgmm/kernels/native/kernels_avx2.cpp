#define FASTGMM_TABLE table_avx2
#define FASTGMM_ISA_NAME "avx2"
#include "kernels.inl"
