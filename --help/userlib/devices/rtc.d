/tmp/lead/main/--help/userlib/devices/rtc.o: \
 /tmp/lead/main/userlib/devices/rtc.c \
 /tmp/lead/main/userlib/devices/rtc.h \
 /tmp/lead/main/userlib/devices/bus.h \
 /tmp/lead/main/userlib/devices/irq.h
/tmp/lead/main/userlib/devices/rtc.h:
/tmp/lead/main/userlib/devices/bus.h:
/tmp/lead/main/userlib/devices/irq.h:
