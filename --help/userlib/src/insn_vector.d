/tmp/h-pv/main/--help/userlib/src/insn_vector.o: \
 /tmp/h-pv/main/userlib/src/insn_vector.c \
 /tmp/h-pv/main/userlib/src/insn.h /tmp/h-pv/main/userlib/src/emulate.h \
 /tmp/h-pv/main/userlib/src/internal.h \
 /tmp/h-pv/main/userlib/include/libvhm.h \
 /tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h
/tmp/h-pv/main/userlib/src/insn.h:
/tmp/h-pv/main/userlib/src/emulate.h:
/tmp/h-pv/main/userlib/src/internal.h:
/tmp/h-pv/main/userlib/include/libvhm.h:
/tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h:
