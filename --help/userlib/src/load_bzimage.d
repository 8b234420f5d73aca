/tmp/lead/main/--help/userlib/src/load_bzimage.o: \
 /tmp/lead/main/userlib/src/load_bzimage.c \
 /tmp/lead/main/userlib/src/load.h /tmp/lead/main/userlib/src/internal.h \
 /tmp/lead/main/userlib/include/libvhm.h \
 /tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h
/tmp/lead/main/userlib/src/load.h:
/tmp/lead/main/userlib/src/internal.h:
/tmp/lead/main/userlib/include/libvhm.h:
/tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h:
