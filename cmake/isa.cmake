# Each SIMD path is one translation unit with its own flags; kernels/dispatch.cpp chooses one at run time.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  set_source_files_properties(cpp/kernels/avx2.cpp PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma")
  set_source_files_properties(cpp/kernels/avx512ifma.cpp cpp/kernels/avx512wide.cpp PROPERTIES COMPILE_OPTIONS
    "-mavx512f;-mavx512dq;-mavx512vl;-mavx512ifma;-mavx512vbmi")
  # GCC regroups u + (a - b) and u - (a - b) into five operations in place of three.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set_property(SOURCE cpp/kernels/avx512wide.cpp APPEND PROPERTY COMPILE_OPTIONS -fno-tree-reassoc)
  endif()
endif()
# The emulated registers are loops that inline into every pass: at -O3 the optimiser takes minutes. Only tests run these
# paths, so -O1 is enough.
set_source_files_properties(cpp/kernels/avx512ifma_emulated.cpp cpp/kernels/avx512wide_emulated.cpp PROPERTIES
  COMPILE_OPTIONS -O1)
