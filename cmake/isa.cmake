# Each SIMD path is one translation unit with its own flags; which one runs is chosen at run time.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  set_source_files_properties(cpp/kernels/avx2.cpp PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma")
  set_source_files_properties(cpp/kernels/avx512ifma.cpp PROPERTIES COMPILE_OPTIONS
    "-mavx512f;-mavx512dq;-mavx512vl;-mavx512ifma")
endif()
# The emulated path is the vector path in plain loops, unrolled: with sanitizers it takes minutes unless it stays calls.
if(HETORCH_SANITIZE)
  set_source_files_properties(cpp/kernels/avx512ifma_emulated.cpp PROPERTIES COMPILE_OPTIONS "-O1;-fno-inline")
endif()
