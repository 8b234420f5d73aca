/tmp/lead/main/--help/userlib/vhmrun/memory_map.o: \
 /tmp/lead/main/userlib/vhmrun/memory_map.c \
 /tmp/lead/main/userlib/vhmrun/memory_map.h \
 /tmp/lead/main/userlib/include/libvhm.h \
 /tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h
/tmp/lead/main/userlib/vhmrun/memory_map.h:
/tmp/lead/main/userlib/include/libvhm.h:
/tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h:
